package dingtalk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The samples of the reference quote numbers and booleans, leave arrays out and write null (dingtalk-api.md 1.7). The types below read
// what was seen and refuse the rest: a list where a number belongs is another answer than the documented one.

// text is a string; numbers and booleans are taken as they are written.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case '{', '[':
		return errOdd
	case 'n':
		*t = ""
	default:
		*t = text(b)
	}
	return nil
}

// number is an integer, also quoted; absent, null and empty are 0.
type number int64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*n = 0
	if t == "" {
		return nil
	}
	i, err := strconv.ParseInt(strings.TrimSuffix(string(t), ".0"), 10, 64)
	if err != nil {
		return errOdd
	}
	*n = number(i)
	return nil
}

func (n number) String() string { return strconv.FormatInt(int64(n), 10) }

// flag is a boolean, also quoted, as 0 and 1, or as Y and N.
type flag bool

// UnmarshalJSON implements [json.Unmarshaler].
func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	switch strings.ToLower(string(t)) {
	case "true", "1", "y":
		*f = true
	case "false", "0", "n", "":
		*f = false
	default:
		return errOdd
	}
	return nil
}

// errOdd is an answer that is not what the reference describes.
var errOdd = errors.New("not as documented")

// read decodes one JSON value and nothing behind it. The error names the field and never what stood in it.
func read(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	err := dec.Decode(into)
	if odd, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %q: %w", odd.Field, errOdd)
	}
	if err != nil {
		return fmt.Errorf("no JSON of that form at byte %d: %w", dec.InputOffset(), errOdd)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something behind the answer: %w", errOdd)
	}
	return nil
}

// fits is [read] for what may be left out when it is odd.
func fits(body []byte, into any) bool { return read(body, into) == nil }

// dig returns the value at a path of names joined by dots, nil when it is absent or null.
func dig(body []byte, path string) (json.RawMessage, error) {
	value := json.RawMessage(body)
	for name := range strings.SplitSeq(path, ".") {
		if path == "" {
			break
		}
		var object map[string]json.RawMessage
		if err := read(value, &object); err != nil {
			return nil, err
		}
		value = object[name]
		if len(value) == 0 || string(value) == "null" {
			return nil, nil
		}
	}
	return value, nil
}

// list returns the elements of the array at a path; none when it is absent.
func list(body []byte, path string) ([]json.RawMessage, error) {
	value, err := dig(body, path)
	if err != nil || value == nil {
		return nil, err
	}
	var rows []json.RawMessage
	return rows, read(value, &rows)
}
