package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// imports measures `guia import` as a process: the real slice repeated with new ids, and how memory grows with the input.
func (b *bench) imports(ctx context.Context) error {
	section := "Import (whole process)"
	slice := filepath.Join(os.Getenv("GUIA_TESTDATA"), "chat", "zulip-archive-slice.tar.gz")
	copies := 20
	if b.quick {
		copies = 2
	}
	if _, err := os.Stat(slice); err != nil {
		b.note("The import of the real slice was not measured: GUIA_TESTDATA is not set.")
	} else {
		repeated := filepath.Join(b.work, "slice.tar.gz")
		messages, err := repeat(slice, repeated, copies)
		if err != nil {
			return err
		}
		took, rss, err := b.importFile("slice", repeated, messages, "--mapping", "zulip")
		if err != nil {
			return err
		}
		rate := float64(messages) / took.Seconds()
		b.report(section, fmt.Sprintf("slice repeated %d times (%d messages), searchable at the end", copies, messages), fmt.Sprintf("%.0f messages/s, %d MB", rate, rss>>20), "at least 5,000/s", verdictOf(rate >= 5000))
	}
	small, large := int64(100<<20), int64(1<<30)
	if os.Getenv("GUIA_BENCH_SHORT") != "" { // for those who have ten minutes less
		small, large = 40<<20, 200<<20
	}
	if b.quick {
		small, large = 5<<20, 20<<20
	}
	mapping := filepath.Join(b.work, "memory.yaml")
	if err := os.WriteFile(mapping, []byte(memoryMapping), 0o600); err != nil {
		return err
	}
	var peaks []int64
	for _, bytes := range []int64{small, large} {
		file := filepath.Join(b.work, fmt.Sprintf("memory-%d.jsonl", bytes))
		lines, err := writeLines(file, bytes)
		if err != nil {
			return err
		}
		took, rss, err := b.importFile(fmt.Sprintf("memory-%d", bytes), file, lines, "--mapping", mapping)
		if err != nil {
			return err
		}
		peaks = append(peaks, rss)
		b.report(section, fmt.Sprintf("JSON Lines of %d MB", bytes>>20), fmt.Sprintf("%.1f MB/s, peak %d MB", float64(bytes)/1e6/took.Seconds(), rss>>20), "", noTarget)
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	ratio := float64(peaks[1]) / float64(peaks[0])
	b.report(section, "peak memory, large / small", fmt.Sprintf("%.2f", ratio), "at most 1.1", verdictOf(ratio <= 1.1))
	return ctx.Err()
}

const memoryMapping = `guia-mapping: 1
source: {name: memory, description: generated}
fields:
  key: id
  type: {constant: message.sent}
  stream: room
  time: time
  sender.key: from
  text: text
`

func writeLines(path string, size int64) (lines int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	c := newCorpus(7)
	var written int64
	for i := 0; written < size; i++ {
		lines++
		n, err := fmt.Fprintf(w, "{\"id\":%d,\"room\":\"room-%d\",\"time\":%d,\"from\":\"u%d\",\"text\":%q}\n", i, c.r.IntN(200), 1_700_000_000+i*20, c.r.IntN(300), c.text(900))
		if err != nil {
			return 0, err
		}
		written += int64(n)
	}
	return lines, errors.Join(w.Flush(), f.Close())
}

// importFile runs init and import in a fresh directory and returns how long the import took and its peak memory in bytes. It is an
// error when not exactly want records were new.
func (b *bench) importFile(name, file string, want int, args ...string) (time.Duration, int64, error) {
	dir := filepath.Join(b.work, "import-"+name)
	if err := b.command("--dir", dir, "init"); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(b.guia, append([]string{"--dir", dir, "--quiet", "--json", "import", file}, args...)...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watch(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	took := time.Since(start)
	close(ended)
	most := <-peak
	if err != nil {
		return 0, 0, fmt.Errorf("guia import: %s: %w", told.Bytes(), err)
	}
	if !bytes.Contains(out.Bytes(), fmt.Appendf(nil, "\"new\":%d,", want)) {
		return 0, 0, fmt.Errorf("guia import: %d records expected: %s", want, out.Bytes())
	}
	return took, most, nil
}

// watch returns the peak resident memory of a process while it lives. The kernel's own figure after the end is no use here: a child
// begins with its parent's.
func watch(pid int, ended <-chan struct{}) (peak int64) {
	for {
		select {
		case <-ended:
			return peak
		case <-time.After(20 * time.Millisecond):
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			var kb int64
			if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kb); n == 1 {
				peak = max(peak, kb<<10)
			}
		}
	}
}

// repeat writes the messages of a slice several times into a tar, each time under other channels with other ids.
func repeat(from, to string, copies int) (messages int, err error) {
	type entry struct {
		name string
		list []map[string]any
	}
	var entries []entry
	f, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if filepath.Ext(h.Name) != ".json" {
			continue
		}
		dec := json.NewDecoder(r)
		dec.UseNumber()
		e := entry{name: h.Name}
		if err := dec.Decode(&e.list); err != nil {
			return 0, err
		}
		entries = append(entries, e)
	}
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return 0, err
	}
	w := tar.NewWriter(packed)
	for c := range copies {
		for _, e := range entries {
			for _, m := range e.list {
				id, err := m["id"].(json.Number).Int64()
				if err != nil {
					return 0, err
				}
				m["id"] = json.Number(fmt.Sprint(id + int64(c)*1_000_000_000_000))
				messages++
			}
			text, err := json.Marshal(e.list)
			if err != nil {
				return 0, err
			}
			for _, m := range e.list { // back for the next copy
				id, _ := m["id"].(json.Number).Int64()
				m["id"] = json.Number(fmt.Sprint(id - int64(c)*1_000_000_000_000))
			}
			name := fmt.Sprintf("copy%02d/%s", c, e.name)
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
				return 0, err
			}
			if _, err := w.Write(text); err != nil {
				return 0, err
			}
		}
	}
	return messages, errors.Join(w.Close(), packed.Close(), out.Close())
}
