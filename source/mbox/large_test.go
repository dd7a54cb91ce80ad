package mbox_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia/source/mbox"
	"guia/source/sourcetest"
)

// large writes an mbox of about size bytes: letters in quoted-printable, and every tenth with an attachment of 60 kB.
func large(t testing.TB, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Inbox")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	letter := strings.Repeat("Boa tarde, segue em anexo o contrato revisto; agrade=C3=A7o confirma=C3=A7=C3=A3o =\naté amanh=C3=A3.\n=E6=96=87=E4=BB=B6=E5=B7=B2=E9=99=84=E4=B8=8A\n\n", 15)
	coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("%PDF-1.7 binary ", 3000)))
	var attachment strings.Builder
	for len(coded) > 0 {
		n := min(76, len(coded))
		attachment.WriteString(coded[:n] + "\n")
		coded = coded[n:]
	}
	for i, n := 0, 0; n < size; i++ {
		m, _ := fmt.Fprintf(w, "From ana@example.mo Fri Mar  1 09:00:00 2024\nReceived: from a by b; Fri, 1 Mar 2024 16:00:00 +0800\n"+
			"From: =?UTF-8?Q?Ana_Concei=C3=A7=C3=A3o?= <ana@example.mo>\nTo: =?big5?B?s6+kaqTl?= <chan@example.mo>\nSubject: contrato %d\n"+
			"Date: Fri, 1 Mar 2024 16:00:00 +0800\nMessage-ID: <%d@example.mo>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n"+
			"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n%s", i, i, letter)
		n += m
		if i%10 == 0 {
			m, _ = fmt.Fprintf(w, "\n--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n%s", attachment.String())
			n += m
		}
		fmt.Fprint(w, "\n--b--\n\n")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func drain(t testing.TB, path string, every int) (records int, peak uint64) {
	t.Helper()
	m, err := mbox.Open(path, mbox.Options{}) // not kept alive by a cleanup
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return sourcetest.Drain(t, m, every)
}

func TestMemoryDoesNotGrowWithTheMailbox(t *testing.T) {
	small, low := drain(t, large(t, 4<<20), 4)
	big, high := drain(t, large(t, 40<<20), 4)
	t.Logf("%d messages: %d KiB live; %d messages: %d KiB live", small, low>>10, big, high>>10)
	if big < 9*small {
		t.Fatalf("%d and %d messages", small, big)
	}
	if high > low+low/2+4<<20 {
		t.Errorf("%d messages hold %d bytes of memory, %d hold %d", big, high, small, low)
	}
}

func TestHostileMailTakesTimeInProportion(t *testing.T) {
	for name, raw := range map[string]string{
		"boundaries":    "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b", 1<<20),
		"folded header": "Subject: x\n" + strings.Repeat(" y\n", 1<<18) + "\nz",
		"words":         "Subject: " + strings.Repeat("=?", 1<<18) + "\n\nz",
		"references":    "References: " + strings.Repeat("<", 1<<18) + "\n\nz",
		"addresses":     "To: " + strings.Repeat("a,", 1<<18) + "\n\nz",
		"parameters":    "Content-Type: text/plain" + strings.Repeat(";a*1*=b", 1<<17) + "\n\nz",
		"nested parts":  strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 1<<16),
		"padding":       "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("QQ==", 1<<20),
		"soft breaks":   "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=          ", 1<<18),
		"from lines":    "From x Fri Mar  1 09:00:00 2024\nA: b\n" + strings.Repeat("\nFrom x\n", 1<<18),
	} {
		if !strings.HasPrefix(raw, "From ") {
			raw = "From: a@example.mo\n" + raw
		}
		start := time.Now()
		all(t, filepath.Join(sourcetest.Folder(t, map[string]string{"x.eml": raw}), "x.eml"))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %d bytes took %v", name, len(raw), took)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	path := large(b, 64<<20)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	n := 0
	for b.Loop() {
		got, _ := drain(b, path, 0)
		n += got
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}
