package extract_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"guia/extract"
)

func TestHTMLReadsLikeThePage(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"words", "<p>Olá,\n   <b>mun</b>do &amp; 世界&#33;</p>", "Olá, mundo & 世界!"},
		{"paragraphs", "<p>one</p><p>two</p>three<div>four</div>", "one\ntwo\nthree\nfour"},
		{"line breaks", "a<br>b<br/><br><br><br>c", "a\nb\n\nc"},
		{"link with a label", `see <a href="https://example.com/x?a=1&amp;b=2">the page</a>.`, "see the page (https://example.com/x?a=1&b=2)."},
		{"link that says itself", `<a href="https://example.com/">https://example.com</a>`, "https://example.com"},
		{"mail address", `<a href="mailto:ana@example.com">ana@example.com</a>`, "ana@example.com"},
		{"link without words", `x <a href="https://example.com/y"></a> z`, "x https://example.com/y z"},
		{"link that was never closed", `<p><a href="https://a.example/">here<p>next`, "here (https://a.example/)\nnext"},
		{"a deceptive link keeps its target", `<a href="https://evil.example">https://bank.example</a>`, "https://bank.example (https://evil.example)"},
		{"list", "<ul><li>a<li>b<ul><li>c</li></ul></li></ul>after", "- a\n- b\n  - c\nafter"},
		{"numbered", `<ol start="3"><li>x</li><li><p>y</p><p>z</p></li></ol>`, "3. x\n4. y\n  z"},
		{"quotation", "<blockquote><p>q1</p><p>q2</p></blockquote><p>answer</p>", "> q1\n> q2\nanswer"},
		{"code", "<p>run</p><pre><code>\nif x {\n\ty()\n}\n</code></pre>done", "run\nif x {\n\ty()\n}\ndone"},
		{"code keeps its indentation and empty lines", "<pre>a\n\n\n    b</pre>", "a\n\n\n    b"},
		{"table", "<table><tr><th>Nome</th><th>Idade</th></tr><tr><td>Ana</td><td>30</td></tr></table>", "Nome\tIdade\nAna\t30"},
		{"script, style, title, comment", "<head><title>t</title><style>p{}</style></head><script>if(a<b){'<p>x</p>'}</script><!-- c -->seen", "seen"},
		{"image", `<img src="x.png" alt=":smile:"> hi`, ":smile: hi"},
		{"entities", "&lt;b&gt; &eacute; &nbsp; &#x4F60; &bogus;", "<b> é 你 &bogus;"},
		{"broken markup", "<p>a<b>b</p></i><<>c<", "ab\n<<>c<"},
		{"bytes that are no text", "a\xff\x00\x1bb", "a\uFFFDb"},
		{"nothing", "", ""},
	} {
		got, whole := extract.HTML([]byte(c.page), 1<<20)
		if got != c.want || !whole {
			t.Errorf("%s: %q is %q (whole %v), want %q", c.name, c.page, got, whole, c.want)
		}
	}
}

func TestHTMLSaysWhenItStoppedAtTheLimit(t *testing.T) {
	page := []byte("<p>一二三四五</p>")
	for limit := range 20 {
		got, whole := extract.HTML(page, limit)
		if len(got) > limit || !utf8.ValidString(got) || !strings.HasPrefix("一二三四五", got) {
			t.Errorf("limit %d: got %q", limit, got)
		}
		if whole != (limit >= 15) {
			t.Errorf("limit %d: got %q, said whole = %v", limit, got, whole)
		}
	}
}

func TestHTMLTakesTimeInProportionToThePage(t *testing.T) {
	for name, unit := range map[string]string{
		"nested quotations": "<blockquote>x", "nested lists": "<ul><li>x", "links": `<a href="http://a">x`, "unclosed comments": "<!--",
		"tags": "<", "cells": "<td>", "pre": "<pre>\n",
	} {
		page := []byte(strings.Repeat(unit, 2<<20/len(unit)))
		start := time.Now()
		extract.HTML(page, 64<<20)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %d bytes took %v", name, len(page), took)
		}
	}
}

func FuzzHTML(f *testing.F) {
	for _, seed := range []string{
		"<p>a<br>b", `<a href="x">y</a>`, "<ul><li>a<ol><li>b", "<pre>\n a\r\n</pre>", "<table><tr><td>a<td>b", "<script><style></script>",
		"<blockquote>\xff", "<textarea><p></textarea>", "&#0;&#x110000;", `<img alt="&lt;"><noscript>x`,
	} {
		f.Add([]byte(seed), 100)
	}
	f.Fuzz(func(t *testing.T, page []byte, limit int) {
		limit &= 0xffff
		got, whole := extract.HTML(page, limit)
		if len(got) > limit {
			t.Fatalf("%d bytes for a limit of %d", len(got), limit)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }); i >= 0 {
			t.Fatalf("%q has a control character at %d", got, i)
		}
		if all, ok := extract.HTML(page, 64<<20); whole && (!ok || all != got) {
			t.Fatalf("said to be whole: %q, but there is more: %q", got, all)
		}
	})
}

func BenchmarkHTML(b *testing.B) {
	page := []byte(strings.Repeat(`<p>Bom dia, <b>equipa</b> 今天開會 &amp; <a href="https://example.com/a">agenda</a></p><ul><li>um</li></ul>`, 1000))
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		extract.HTML(page, 1<<20)
	}
}
