package evidence

import (
	"fmt"
	"html/template"
	"io"

	"guia/evidence/verify"
	"guia/lang"
)

// renderView draws the page.
func renderView(w io.Writer, p *page) error {
	t, err := viewTemplate.Clone()
	if err != nil {
		return err
	}
	known := map[string]string{} // a sentence without places stands on the page once a record
	return t.Funcs(template.FuncMap{
		"t": func(key string, args ...any) string {
			if len(args) > 0 {
				return lang.Text(p.l, key, args...)
			}
			sentence, ok := known[key]
			if !ok {
				sentence = lang.Text(p.l, key)
				known[key] = sentence
			}
			return sentence
		},
	}).Execute(w, p)
}

var viewTemplate = template.Must(template.New("view").Funcs(template.FuncMap{
	"t":    func(string, ...any) string { return "" },
	"why":  func(r verify.Reason) string { return "view." + string(r) },
	"size": showSize,
	"act":  func(name string) string { return actKey("view.act.", name) },
	"type": func(name string) string { return actKey("view.type.", name) },
	"low":  gradeKey,
}).Parse(viewHTML))

// actKey returns the sentence for a type of event, or the one for types that this release does not know.
func actKey(prefix, name string) string {
	if lang.Has(prefix + name) {
		return prefix + name
	}
	return prefix + "other"
}

func gradeKey(grade string) string {
	if grade == "?" {
		return "claim.grade_unknown"
	}
	return "claim.grade_" + string(grade[0]+'a'-'A')
}

// showSize is a size as people read it.
func showSize(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

const viewHTML = `<!DOCTYPE html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{.Policy}}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{t "view.title"}}{{with .Cover.Case}} · {{.}}{{end}}</title>
<style>{{.Style}}</style>
</head>
<body>
{{define "piece"}}{{if .Why}}<span class="bar {{.Why}}" title="{{t (why .Why)}}"><span aria-hidden="true">{{.Bar}}</span><span class="said">[{{t (why .Why)}}]</span></span>{{else}}<bdi>{{.Text}}</bdi>{{end}}{{end}}
{{define "link"}}{{if .Here}}<a href="#e{{.Seq}}">#{{.Seq}}</a>{{with .Excerpt}} <q><bdi>{{.}}</bdi></q>{{end}}{{else}}{{t "view.not_here"}}{{end}}{{end}}
<header>
<p class="kind">{{t "view.title"}}</p>
<h1>{{with .Cover.Case}}<bdi>{{.}}</bdi>{{else}}{{t "view.case_withheld"}}{{end}}</h1>
<p class="lead">{{t "view.lead" .Cover.Records .Cover.Custody .Cover.Files}}</p>
<p class="warning">{{t "claim.view_is_no_proof"}}</p>
</header>
<nav aria-label="{{t "view.contents"}}">
<ol>
<li><a href="#cover">{{t "view.cover"}}</a></li>
<li><a href="#claims">{{t "view.claims"}}</a></li>
<li><a href="#conversations">{{t "view.conversations"}}</a>
<ol>{{range .Conversations}}<li><a href="#{{.Anchor}}">{{if .Name.Is}}{{template "piece" .Name}}{{else}}{{t "view.unnamed"}}{{end}}</a> <small>{{len .Records}}</small></li>{{end}}</ol></li>
<li><a href="#custody">{{t "view.custody"}}</a></li>
<li><a href="#withheld">{{t "view.withheld"}}</a></li>
<li><a href="#verify">{{t "view.verify"}}</a></li>
</ol>
</nav>
<main>
<section id="cover">
<h2>{{t "view.cover"}}</h2>
<dl class="facts">
<div><dt>{{t "view.created"}}</dt><dd>{{.Cover.Created}}</dd></div>
<div><dt>{{t "view.program"}}</dt><dd>{{.Cover.Program}}</dd></div>
<div><dt>{{t "view.records"}}</dt><dd>{{.Cover.Records}}</dd></div>
<div><dt>{{t "view.files"}}</dt><dd>{{.Cover.Files}}</dd></div>
<div><dt>{{t "view.disclosed"}}</dt><dd>{{.Cover.Disclosed}}</dd></div>
<div><dt>{{t "view.redacted_count"}}</dt><dd>{{.Cover.Redacted}}</dd></div>
<div><dt>{{t "view.erased_count"}}</dt><dd>{{.Cover.Erased}}</dd></div>
<div class="wide"><dt>{{t "view.log"}}</dt><dd class="mono">{{.Cover.Origin}}</dd></div>
<div class="wide"><dt>{{t "view.root" .Cover.Size}}</dt><dd class="mono">{{.Cover.Root}}</dd></div>
</dl>
<h3>{{t "view.sources"}}</h3>
<div class="scroll"><table>
<thead><tr><th>{{t "view.source"}}</th><th>{{t "view.channel"}}</th><th>{{t "view.grade"}}</th><th class="number">{{t "view.records"}}</th><th>{{t "view.first"}}</th><th>{{t "view.last"}}</th><th class="number">{{t "view.gaps"}}</th></tr></thead>
<tbody>{{range .Cover.Sources}}<tr><td>{{.Source}}</td><td>{{if eq .Channel "?"}}{{t "view.channel.unknown"}}{{else}}{{t (printf "view.channel.%s" .Channel)}}{{end}}</td><td><span class="grade g{{.Grade}}">{{.Grade}}</span></td><td class="number">{{.Records}}</td><td>{{.First}}</td><td>{{.Last}}</td><td class="number">{{.Gaps}}</td></tr>{{end}}</tbody>
</table></div>
<h3>{{t "view.grades"}}</h3>
<dl class="grades">{{range .Cover.Grades}}<div><dt><span class="grade g{{.Grade}}">{{.Grade}}</span> {{.Records}}</dt><dd>{{t (low .Grade)}}</dd></div>{{end}}</dl>
</section>
<section id="claims">
<h2>{{t "view.claims"}}</h2>
<ul class="claims">{{range .Claims}}<li>{{t .}}</li>{{end}}</ul>
</section>
<section id="conversations">
<h2>{{t "view.conversations"}}</h2>
{{range .Conversations}}<article class="conversation" id="{{.Anchor}}">
<h3>{{if .Name.Is}}{{template "piece" .Name}}{{else}}{{t "view.unnamed"}}{{end}}</h3>
<p class="extent">{{.Source}}{{with .Kind}} · <bdi>{{.}}</bdi>{{end}} · {{if .Extent.Complete}}{{t "view.extent_complete" .Extent.From .Extent.To .Extent.Of}}{{else}}{{t "view.extent_holes" .Extent.From .Extent.To .Extent.Of (len .Records)}}{{end}} · <span class="mono">{{.Stream}}</span></p>
{{range .Records}}{{with .Day}}<p class="day"><span>{{.}}</span></p>
{{end}}<div class="record {{.Class}}{{if .Nested}} nested{{end}}" id="e{{.Seq}}">
<p class="line"><span class="who">{{if .Who.Is}}{{template "piece" .Who}}{{else}}{{t "view.nobody"}}{{end}}</span>{{range .WhoMore}} <span class="more">{{template "piece" .}}</span>{{end}}
<span class="when">{{if .TimeHidden.Is}}{{template "piece" .TimeHidden}}{{else if .NoTime}}<strong>{{t "view.no_time"}}</strong>{{else}}<time>{{.Clock}}</time> <span class="zone">{{.Zone}}{{if .Assumed}} · {{t "view.zone_assumed"}}{{end}}</span>{{end}}</span>
<span class="tags">{{with .Type}}<span class="type">{{t (type .)}}</span>{{end}}{{with .Grade}}<span class="grade g{{.}}" title="{{t (low .)}}">{{.}}</span> {{end}}<a class="seq" href="#e{{.Seq}}">#{{.Seq}}</a></span></p>
{{if .Reply}}<p class="ref">↳ {{t "view.reply"}} {{template "link" .Reply}}</p>{{end}}{{if .EditOf}}<p class="ref">{{if .Removes}}✕ {{t "view.removes"}}{{else}}✎ {{t "view.edit_of"}}{{end}} {{template "link" .EditOf}}</p>{{end}}
{{if .To}}<p class="to">{{t "view.to"}} {{range $i, $p := .To}}{{if $i}}, {{end}}{{template "piece" $p}}{{end}}</p>{{end}}
{{if .Subject.Is}}<p class="subject">{{template "piece" .Subject}}</p>{{end}}
{{if .Text}}<div class="text" dir="auto">{{range .Text}}{{template "piece" .}}{{end}}</div>{{end}}
{{if .ReasonShown.Is}}<p class="ref">{{t "view.reason"}} {{template "piece" .ReasonShown}}</p>{{end}}
{{if .Members}}<p class="to">{{t "view.members"}} {{range $i, $p := .Members}}{{if $i}}, {{end}}{{template "piece" $p}}{{end}}</p>{{end}}
{{if .Files}}<ul class="files">{{range .Files}}<li>{{if .Href}}<a href="{{.Href}}" download="{{.SaveAs}}" rel="noreferrer">{{if .Name.Is}}{{template "piece" .Name}}{{else}}{{.SaveAs}}{{end}}</a> <small>{{with .Type}}<bdi>{{.}}</bdi>, {{end}}{{size .Size}}</small><br><small class="mono">{{.Href}}</small>{{else if .Why}}{{template "piece" .Name}} <small>{{t "view.file_withheld"}} — {{t (why .Why)}}</small>{{else}}{{template "piece" .Name}} <small>{{t "view.file_missing"}} {{template "piece" .Missing}}</small>{{end}}</li>{{end}}</ul>{{end}}
{{range .EditedBy}}<p class="ref later">✎ {{t "view.edited_later"}} {{template "link" .}}</p>{{end}}{{range .RemovedBy}}<p class="ref later">✕ {{t "view.removed_later"}} {{template "link" .}}</p>{{end}}
{{with .Same}}<p class="ref">= {{t "view.same_as"}} {{template "link" .}}</p>{{end}}
{{if .Marks}}<p class="marks">{{t "view.marks"}} {{range .Marks}}<code>{{.}}</code> {{end}}</p>{{end}}
<details><summary>{{t "view.provenance"}} · {{t (printf "view.channel.%s" .Channel)}}</summary><table class="details">{{range .Details}}<tr><th>{{.Name}}</th><td>{{template "piece" .Value}}</td></tr>{{end}}</table></details>
</div>
{{end}}</article>
{{end}}</section>
<section id="custody">
<h2>{{t "view.custody"}}</h2>
<p>{{t "view.custody_lead"}}</p>
<div class="scroll"><table class="custody">
<thead><tr><th>#</th><th>{{t "view.when"}}</th><th>{{t "view.what"}}</th><th>{{t "view.who"}}</th><th>{{t "view.details"}}</th></tr></thead>
<tbody>{{range .Custody}}<tr id="e{{.Seq}}"><td class="mono nowrap">{{.Seq}}</td><td class="nowrap">{{.When}}</td><td>{{t (act .Act)}}{{with .Note}} <em>{{t .}}</em>{{end}}</td><td>{{if .Who.Is}}{{template "piece" .Who}}{{end}}{{with .Via}} <small>{{.}}</small>{{end}}{{with .Account}}<br><small class="mono">{{.}}</small>{{end}}</td><td>{{range .Details}}<div><small class="mono">{{.Name}}</small> {{template "piece" .Value}}</div>{{end}}</td></tr>
{{end}}</tbody>
</table></div>
</section>
<section id="withheld">
<h2>{{t "view.withheld"}}</h2>
{{if .Withheld}}<p>{{t "view.withheld_lead"}}</p>
<table><thead><tr><th>{{t "view.field"}}</th><th class="number">{{t "view.redacted_count"}}</th><th class="number">{{t "view.erased_count"}}</th></tr></thead>
<tbody>{{range .Withheld}}<tr><td class="mono">{{.Field}}</td><td class="number">{{.Redacted}}</td><td class="number">{{.Erased}}</td></tr>{{end}}</tbody></table>
{{else}}<p>{{t "view.withheld_none"}}</p>{{end}}
</section>
<section id="verify">
<h2>{{t "view.verify"}}</h2>
<p>{{t "view.verify_lead"}}</p>
<pre>guia-verify --key '{{.Key}}' bundle.asice</pre>
<p>{{t "view.verify_hand"}}</p>
</section>
</main>
</body>
</html>
`

// viewStyle is the page's only style sheet; its digest stands in the content policy.
const viewStyle = `
:root{color-scheme:light;--ink:#1c2126;--soft:#5b6670;--rule:#d9dee3;--paper:#fff;--wash:#f5f7f8;--accent:#0b4f6c;--warn:#8a4b08}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:62rem;padding:2.5rem 1.5rem 5rem;background:var(--paper);color:var(--ink);font:16px/1.55 "Noto Sans","Segoe UI",system-ui,-apple-system,"Noto Sans CJK TC","Noto Sans TC","PingFang TC","Microsoft JhengHei",sans-serif}
:lang(zh-Hans) body,body:lang(zh-Hans){font-family:"Noto Sans","Segoe UI",system-ui,-apple-system,"Noto Sans CJK SC","Noto Sans SC","PingFang SC","Microsoft YaHei",sans-serif}
a{color:var(--accent);text-decoration-thickness:1px;text-underline-offset:2px}
header{border-bottom:3px solid var(--ink);margin-bottom:1.5rem;padding-bottom:1rem}
.kind{margin:0;color:var(--soft);font-size:.85rem;letter-spacing:.06em;text-transform:uppercase}
h1{margin:.2rem 0 .6rem;font-size:2rem;line-height:1.2;overflow-wrap:anywhere}
h2{margin:2.8rem 0 1rem;padding-bottom:.35rem;border-bottom:1px solid var(--rule);font-size:1.35rem}
h3{margin:1.8rem 0 .5rem;font-size:1.08rem;overflow-wrap:anywhere}
.lead{margin:.2rem 0;font-size:1.05rem}
.warning{margin:.8rem 0 0;padding:.6rem .8rem;border-left:4px solid var(--warn);background:#fdf6ec;font-size:.92rem}
nav{font-size:.95rem}nav ol{margin:.2rem 0;padding-left:1.4rem}nav ol ol{list-style:none;padding-left:.8rem;color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.8rem 1.5rem;margin:0}
.facts div{border-top:1px solid var(--rule);padding-top:.35rem}.facts .wide{grid-column:1/-1}
dt{color:var(--soft);font-size:.82rem}dd{margin:0;overflow-wrap:anywhere}
.grades div{display:grid;grid-template-columns:6rem 1fr;gap:.5rem;margin:.35rem 0}.grades dt{font-size:.95rem}
.claims{padding-left:1.2rem}.claims li{margin:.45rem 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.4rem .6rem .4rem 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
thead th{color:var(--soft);font-weight:600;font-size:.82rem}
.number{text-align:right;padding-right:1rem;font-variant-numeric:tabular-nums}
.nowrap{white-space:nowrap}
.mono,code,pre{font-family:ui-monospace,"Cascadia Mono","Noto Sans Mono",Menlo,Consolas,monospace;font-size:.82em;overflow-wrap:anywhere}
pre{padding:.8rem;background:var(--wash);border:1px solid var(--rule);white-space:pre-wrap}
small{color:var(--soft)}
.conversation{margin:1.5rem 0 3rem}
.extent{margin:.1rem 0 1rem;color:var(--soft);font-size:.85rem}
.day{display:flex;align-items:center;gap:.8rem;margin:1.4rem 0 .6rem;color:var(--soft);font-size:.85rem;font-variant-numeric:tabular-nums}
.day::before,.day::after{content:"";flex:1;border-top:1px solid var(--rule)}
.record{margin:.5rem 0;padding:.55rem .8rem .45rem;border-left:3px solid var(--rule)}
.record:target{border-left-color:var(--accent);background:#eef5f8}
.record.nested{margin-left:2.2rem}
.record.event{border-left-style:dashed;color:var(--soft)}
.record p{margin:.15rem 0}
.line{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem .7rem}
.who{font-weight:650}.more,.when,.zone{color:var(--soft);font-size:.85rem}
.when{font-variant-numeric:tabular-nums}.when strong{color:var(--warn)}
.tags{margin-left:auto;display:flex;gap:.5rem;align-items:baseline}
.type{font-size:.78rem;color:var(--soft);border:1px solid var(--rule);border-radius:3px;padding:0 .35rem}
.seq{font-size:.8rem;color:var(--soft);text-decoration:none;font-variant-numeric:tabular-nums}
.grade{display:inline-block;min-width:1.35rem;padding:0 .3rem;border-radius:3px;border:1px solid currentColor;text-align:center;font-size:.78rem;font-weight:700;line-height:1.3}
.gA{color:#12633b}.gB{color:#0b4f6c}.gC{color:#8a4b08}.gD{color:#8c1d18}
.text{margin:.2rem 0 .3rem;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
.subject{font-weight:600}
.ref,.to,.marks{font-size:.87rem;color:var(--soft)}.later{color:var(--warn)}
q{quotes:"“" "”";color:var(--ink)}
.marks code{color:var(--warn)}
.bar{white-space:nowrap}.bar>span:first-child{color:#22272c;letter-spacing:-.08em}.bar.erased>span:first-child{color:#b4bcc4}
.said{margin-left:.35rem;color:var(--soft);font-size:.78rem}
.files{margin:.3rem 0;padding:.4rem .7rem;list-style:none;background:var(--wash);border:1px solid var(--rule);font-size:.92rem;overflow-wrap:anywhere}
details{font-size:.82rem;color:var(--soft)}summary{cursor:pointer}
.details th{width:9rem;font-weight:400;font-family:ui-monospace,monospace;font-size:.92em}
.details th,.details td{border:0;padding:.1rem .6rem .1rem 0}
.custody td{overflow-wrap:anywhere}.custody em{color:var(--warn)}
@media (max-width:40rem){body{padding:1.2rem .9rem}.record.nested{margin-left:1rem}.tags{margin-left:0}}
@page{size:A4;margin:18mm 16mm 20mm}
@media print{body{max-width:none;padding:0;font-size:10pt}nav,details{display:none}a{color:inherit;text-decoration:none}h2,h3{break-after:avoid}.record,tr,.warning{break-inside:avoid}.day{break-after:avoid}section#conversations,section#custody{break-before:page}.record:target{background:none}.scroll{overflow:visible}}
`
