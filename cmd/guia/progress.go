package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress tells on stderr how far long work is: a bar where a person watches, a line now and then where not, nothing at all for
// work that is done within a second.
type progress struct {
	p     *program
	key   string // sentence: what is being done
	bytes bool

	mu    sync.Mutex
	start time.Time
	told  time.Time
	drawn bool
	from  int64     // what was done already when the work first told of itself,
	since time.Time // and when that was; zero before
}

// Intervals of redrawing a bar and of writing a line.
const (
	quietFor  = time.Second
	drawEvery = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

// begin returns the progress of one piece of work. The work calls at; end is called whatever happens.
func (p *program) begin(key string, bytes bool) *progress {
	now := time.Now()
	return &progress{p: p, key: key, bytes: bytes, start: now, told: now}
}

// at tells that done of total are done; a total of 0 is unknown. more is appended. It may be called often.
func (g *progress) at(done, total int64, more string) {
	if g.p.quiet {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.since.IsZero() {
		g.from, g.since = done, now
	}
	every := lineEvery
	if g.p.errTerminal {
		every = drawEvery
	}
	if now.Sub(g.start) < quietFor || now.Sub(g.told) < every {
		return
	}
	g.told = now
	line := g.line(now, done, total, more)
	if g.p.errTerminal {
		g.drawn = true
		fmt.Fprint(g.p.stderr, "\r\x1b[K"+clip(line, max(20, g.p.width-1)))
		return
	}
	fmt.Fprintln(g.p.stderr, line)
}

func (g *progress) line(now time.Time, done, total int64, more string) string {
	show := g.p.number
	if g.bytes {
		show = g.p.size
	}
	parts := []string{g.p.text(g.key)}
	switch {
	case total > 0:
		done = min(done, total)
		if g.p.errTerminal {
			const cells = 24
			full := int(done * cells / total)
			parts = append(parts, "["+strings.Repeat("█", full)+strings.Repeat("░", cells-full)+"]")
		}
		parts = append(parts, fmt.Sprintf("%d%%", done*100/total), show(done)+" / "+show(total))
		if own := done - g.from; own > 0 && done < total { // not counting what was done by an earlier command
			left := time.Duration(float64(now.Sub(g.since)) * float64(total-done) / float64(own))
			parts = append(parts, "~"+left.Round(time.Second).String())
		}
	default:
		parts = append(parts, show(done))
	}
	if more != "" {
		parts = append(parts, more)
	}
	return strings.Join(parts, "  ")
}

// end removes the bar.
func (g *progress) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drawn {
		fmt.Fprint(g.p.stderr, "\r\x1b[K")
		g.drawn = false
	}
}
