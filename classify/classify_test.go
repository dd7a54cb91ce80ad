package classify

import (
	"testing"

	"guia"
)

func TestWhatWasNotReadIsConfidential(t *testing.T) {
	var rules Rulebook
	with := func(names ...string) (f guia.Fields) {
		for _, n := range names {
			f.Set(n, "x")
		}
		return f
	}
	direct := with("text.0000")
	direct.Set("conversation.kind", "direct")
	group := with("text.0000")
	group.Set("conversation.kind", "group")
	for what, c := range map[string]struct {
		kind   guia.Type
		fields guia.Fields
		apart  []string
		want   Verdict
	}{
		"a message":                     {guia.MessageSent, with("text.0000", "raw"), nil, Verdict{guia.TierInternal, "default"}},
		"in a group":                    {guia.MessageSent, group, nil, Verdict{guia.TierInternal, "default"}},
		"in a direct conversation":      {guia.MessageSent, direct, nil, Verdict{guia.TierConfidential, "direct-conversation"}},
		"an attachment, not yet kept":   {guia.MessageSent, with("file.0001.name"), []string{"file.0001"}, Verdict{guia.TierConfidential, "attachment-unread"}},
		"an attachment, kept":           {guia.MessageSent, with("file.0001"), nil, Verdict{guia.TierConfidential, "attachment-unread"}},
		"an attachment that is missing": {guia.MessageSent, with("file.0002.missing"), nil, Verdict{guia.TierConfidential, "attachment-unread"}},
		"a large raw record":            {guia.MailSent, with("text.0000"), []string{"raw.file"}, Verdict{guia.TierConfidential, "attachment-unread"}},
		"a large raw record, kept":      {guia.MailSent, with("raw.file"), nil, Verdict{guia.TierConfidential, "attachment-unread"}},
		"a directory entry":             {guia.PersonSeen, with("sender.name"), nil, Verdict{guia.TierConfidential, "directory"}},
		"the end of one":                {guia.PersonLeft, with("sender.name"), nil, Verdict{guia.TierConfidential, "directory"}},
	} {
		if got := rules.Classify(c.kind, c.fields, c.apart...); got != c.want {
			t.Errorf("%s: got %v, want %v", what, got, c.want)
		}
	}
}
