package vault

import (
	"fmt"
	"strings"
	"testing"

	"guia"
)

// TestWhatWasSealedLastIsRememberedOfThoseBytesAlone: what is erased or damaged between the commit and the followers is not theirs.
func TestWhatWasSealedLastIsRememberedOfThoseBytesAlone(t *testing.T) {
	v := frozen(t)
	c := newContent("time", "2026-01-01", "sender.name", "Ana", "subject", "a secret", "raw", "{}")
	s, leaf := put(t, v, c)
	slots, err := parseRow(s.Row)
	if err != nil {
		t.Fatal(err)
	}
	keks := map[uint64]bool{}
	for _, slot := range slots {
		keks[slot.kek] = true
	}
	erased, changed, err := v.Forget(t.Context(), 3, leaf.Header, s.Row, keks)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if e, err := v.ReadWithoutRaw(t.Context(), 3, leaf.Header, erased); err != nil || len(e.Fields) > 0 || len(e.Withheld) != 3 { // without raw
		t.Errorf("of an erased event %d fields are read, %d withheld: %v", len(e.Fields), len(e.Withheld), err)
	}
	damaged := append([]byte(nil), s.Row...)
	damaged[len(damaged)/2] ^= 1
	if _, err := v.ReadWithoutRaw(t.Context(), 3, leaf.Header, damaged); guia.KindOf(err) != guia.Damaged {
		t.Errorf("a damaged row was read: %v", err)
	}
	other := leaf.Header
	other.Record = guia.NewRecordID()
	if _, err := v.ReadWithoutRaw(t.Context(), 3, other, s.Row); guia.KindOf(err) != guia.Damaged {
		t.Errorf("the row of another event was read: %v", err)
	}
	if e, err := v.ReadWithoutRaw(t.Context(), 3, leaf.Header, s.Row); err != nil || e.Fields.Get("subject") != "a secret" {
		t.Errorf("the row itself: %v", err)
	}
}

// TestWhatIsRememberedIsBounded seals more than is remembered, small and large, and reads it all.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	r := newRecent()
	for i := range 3 * mostRecent {
		size := 1
		if i > mostRecent {
			size = 8000
		}
		r.put(guia.RecordID{byte(i), byte(i >> 8), byte(i >> 16)}, []byte(fmt.Sprint(i)), guia.Fields{{Name: "subject", Value: make([]byte, size)}})
		if len(r.fields) > mostRecent || r.bytes > mostRecentBytes {
			t.Fatalf("after %d: %d events, %d bytes", i, len(r.fields), r.bytes)
		}
	}
	left := 0
	for i := range 3 * mostRecent {
		if _, ok := r.take(guia.RecordID{byte(i), byte(i >> 8), byte(i >> 16)}, []byte(fmt.Sprint(i))); ok {
			left++
		}
	}
	if left < mostRecentBytes/8000/2 || r.bytes != 0 || len(r.fields) != 0 {
		t.Errorf("%d were left, and then %d of %d bytes", left, len(r.fields), r.bytes)
	}
	r.put(guia.RecordID{1}, nil, guia.Fields{{Name: "raw", Value: []byte(strings.Repeat("x", largeRecent))}, {Name: "subject", Value: []byte("x")}})
	if len(r.fields) != 0 {
		t.Error("an event of rare size is remembered")
	}
}

// TestWhatIsSealedAgainCountsOnce: the bytes of one event that is sealed again and again would fill the room for good otherwise.
func TestWhatIsSealedAgainCountsOnce(t *testing.T) {
	r := newRecent()
	for i := range 10 {
		r.put(guia.RecordID{1}, []byte{byte(i)}, guia.Fields{{Name: "subject", Value: []byte("again")}})
	}
	if len(r.fields) != 1 || r.bytes != len("again") {
		t.Errorf("%d events, %d bytes", len(r.fields), r.bytes)
	}
	if fields, ok := r.take(guia.RecordID{1}, []byte{9}); !ok || fields.Get("subject") != "again" || r.bytes != 0 {
		t.Errorf("the last one: %t, then %d bytes", ok, r.bytes)
	}
}
