package guia_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
)

func TestIdentifiersHaveOneSpelling(t *testing.T) {
	id := guia.NewRecordID()
	if back, err := guia.ParseID16(id.String()); err != nil || guia.RecordID(back) != id || guia.NewRecordID() == id {
		t.Errorf("%s: %v", id, err)
	}
	good := strings.Repeat("0a", 16)
	for _, bad := range []string{"", good[1:], good + "0", strings.ToUpper(good), good[:30] + "0g", good[:31] + " ", good[:30] + "é"} {
		if _, err := guia.ParseID16(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestTypesAndSourcesAreWords(t *testing.T) {
	for s, ok := range map[string]bool{
		"message.sent": true, "log.key_rotated": true, "a.b.c": true, "2.x": true, strings.Repeat("a", 46) + ".b": true,
		"": false, "message": false, "Message.sent": false, ".sent": false, "message.": false, "message..sent": false, "message._x": false,
		"message.sent\n": false, "message sent": false, "message.sënt": false, strings.Repeat("a", 47) + ".b": false,
	} {
		if _, err := guia.ParseType(s); (err == nil) != ok {
			t.Errorf("type %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{
		"slack": true, "a": true, "source-2": true, strings.Repeat("a", 32): true,
		"": false, "2x": false, "-x": false, "Slack": false, "a b": false, "a\n": false, "a.b": false, strings.Repeat("a", 33): false,
	} {
		if _, err := guia.ParseSourceName(s); (err == nil) != ok {
			t.Errorf("source %q: %v", s, err)
		}
	}
}

// TestEveryTypeIsASourcesOrGuiasOwn reads the types out of the source, where those of sources stand first: who adds one decides who may say
// such a thing.
func TestEveryTypeIsASourcesOrGuiasOwn(t *testing.T) {
	text, err := os.ReadFile("guia.go")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^\t(\w+) +Type = "([^"]+)"`).FindAllStringSubmatch(string(text), -1)
	first := slices.IndexFunc(all, func(m []string) bool { return m[1] == "ImportStarted" })
	if len(all) < 50 || first < 1 {
		t.Fatalf("%d types were found, the first own one at %d", len(all), first)
	}
	for i, m := range all {
		if kind := guia.Type(m[2]); kind.IsOwn() != (i >= first) {
			t.Errorf("%s: own %v, and stands at %d, where Guia's own begin at %d", kind, kind.IsOwn(), i, first)
		}
	}
}

func TestMomentsHaveExactlyTheDigitsOfTheirSource(t *testing.T) {
	at := time.Date(2024, 3, 1, 16, 15, 30, 123_456_789, time.FixedZone("", 8*3600))
	for precision, want := range map[guia.Precision]string{
		guia.Day: "2024-03-01", guia.Minute: "2024-03-01T08:15Z", guia.Second: "2024-03-01T08:15:30Z", guia.Millisecond: "2024-03-01T08:15:30.123Z",
		guia.Microsecond: "2024-03-01T08:15:30.123456Z", guia.Nanosecond: "2024-03-01T08:15:30.123456789Z",
	} {
		m := guia.Moment{Time: at, Precision: precision}
		if m.String() != want {
			t.Errorf("got %s, want %s", m, want)
		}
		back, err := guia.ParseMoment(want)
		if err != nil || back.String() != want || back.Precision != precision {
			t.Errorf("%s comes back as %s: %v", want, back, err)
		}
	}
	for _, bad := range []string{
		"", "2024", "2024-02-30", "2024-03-01T08:15", "2024-03-01t08:15Z", "2024-03-01T24:00Z", "2024-03-01T08:15:60Z", "2024-03-01T08:15:30.12Z",
		"2024-03-01T08:15:30,123Z", "0000-01-01", "2024-03-01 ", "+024-03-01", "2024-3-001", "2024-03-01T08:15:30+00:00", "10000-01-01",
	} {
		if m, err := guia.ParseMoment(bad); err == nil {
			t.Errorf("%q is read as %s", bad, m)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, s := range []string{"2024-03-01", "2024-03-01T08:15Z", "2024-03-01T08:15:30.123456789Z", "0001-01-01", "9999-12-31T23:59:59Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := guia.ParseMoment(s); err == nil && m.String() != s {
			t.Fatalf("%q becomes %q", s, m)
		}
	})
}

func TestFieldsStayInOrderAndEmptyIsAbsent(t *testing.T) {
	var f guia.Fields
	for _, name := range []string{"time", "act", "mark", "act", "zone"} {
		f.Set(name, "value of "+name)
	}
	f.Set("mark", "other")
	f.Set("zone", "")
	f.Set("never", "")
	var names []string
	for _, x := range f {
		names = append(names, x.Name)
	}
	if !slices.Equal(names, []string{"act", "mark", "time"}) || f.Get("mark") != "other" || f.Get("zone") != "" || f.Bytes("zone") != nil {
		t.Errorf("%v", f)
	}
}

func TestTheTextIsItsChunksAlone(t *testing.T) {
	var e guia.Event
	for name, value := range map[string]string{"text.0000": "a", "text.0001": "b", "text.0010": "c", "text.html": "<b>", "subject": "s"} {
		e.Fields.Set(name, value)
	}
	if got := e.Text(); got != "abc" {
		t.Errorf("text %q", got)
	}
	if _, ok := e.Moment(); ok {
		t.Error("an event without a time has one")
	}
	e.Fields.Set("time", "2024-03-01")
	if m, ok := e.Moment(); !ok || m.Precision != guia.Day {
		t.Errorf("%v, %t", m, ok)
	}
}

func TestTheRegistryIsInOrderAndEverySlotIsFound(t *testing.T) {
	for i, spec := range guia.Registry {
		if i > 0 && guia.Registry[i-1].Name >= spec.Name {
			t.Errorf("%s does not come after %s", spec.Name, guia.Registry[i-1].Name)
		}
		name := strings.Replace(spec.Name, "####", "0042", 1)
		if slot, ok := guia.SlotOf(name); !ok || slot != spec.Slot {
			t.Errorf("%s is in slot %s, %t; want %s", name, slot, ok, spec.Slot)
		}
	}
	for _, bad := range []string{"", "text", "text.", "text.1", "text.00001", "text.000x", "text.0000.x", "file.0001.size", "recipient.####", "Time", "time ", ".0001", "member.0001.name", "text.０００１"} {
		if slot, ok := guia.SlotOf(bad); ok {
			t.Errorf("%q is in slot %s", bad, slot)
		}
	}
	// Whoever is forgotten takes these along; whoever is not, keeps those.
	for name, want := range map[string]guia.Slot{"sender.name": guia.SlotIdentity, "text.0001": guia.SlotContent, "raw": guia.SlotRaw, "raw.file": guia.SlotRaw, "time": guia.SlotRecord, "query": guia.SlotContent, "reason": guia.SlotContent} {
		if slot, _ := guia.SlotOf(name); slot != want {
			t.Errorf("%s is in slot %s, want %s", name, slot, want)
		}
	}
}

func TestRefusalsKeepTheirKindAndCause(t *testing.T) {
	cause := errors.New("the cause")
	err := fmt.Errorf("import: %w", guia.RefuseCause(guia.Damaged, cause, "x.y", 7))
	if guia.KindOf(err) != guia.Damaged || !errors.Is(err, cause) || !strings.Contains(err.Error(), "damaged: x.y [7]: the cause") {
		t.Errorf("%v", err)
	}
	if guia.KindOf(cause) != 0 || guia.KindOf(nil) != 0 {
		t.Error("an error that is no refusal has a kind")
	}
	if guia.KindOf(errors.Join(cause, guia.Refuse(guia.Held, "x"))) != guia.Held {
		t.Error("a joined refusal is not found")
	}
	var names []string
	for k := range guia.Kind(12) {
		names = append(names, k.String())
	}
	if got, err := json.Marshal(names); err != nil || string(got) != `["failed","invalid","denied","not_found","conflict","held","blocked","upstream","damaged","failed","failed","failed"]` {
		t.Errorf("%s, %v", got, err)
	}
}
