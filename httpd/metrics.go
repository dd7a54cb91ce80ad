package httpd

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metric is one name with its samples, as Prometheus reads them (prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4).
type Metric struct {
	Name    string
	Kind    string // counter, gauge
	Help    string
	Samples []Sample
}

// Sample is one value. Labels are names and values in turn.
type Sample struct {
	Value  float64
	Labels []string
}

// Metrics answers with the numbers that look finds.
func Metrics(look func(context.Context) ([]Metric, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := look(r.Context())
		if err != nil {
			text(w, http.StatusInternalServerError, "the numbers cannot be read\n") // the log says why
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write([]byte(Exposition(all))) // whoever asked has gone
	})
}

// Exposition writes metrics in the text format. A metric without samples is left out.
func Exposition(all []Metric) string {
	var b strings.Builder
	for _, m := range all {
		if len(m.Samples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", m.Name, helpEscapes.Replace(m.Help), m.Name, m.Kind)
		for _, s := range m.Samples {
			b.WriteString(m.Name)
			for i := 0; i+1 < len(s.Labels); i += 2 {
				b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
				b.WriteString(s.Labels[i] + `="` + valueEscapes.Replace(s.Labels[i+1]) + `"`)
			}
			if len(s.Labels) > 1 {
				b.WriteString("}")
			}
			b.WriteString(" " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
		}
	}
	return b.String()
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
