package intake

import (
	"testing"
	"time"
)

// MailsRecognised is since when mails are recognised by their Message-ID; what it is set to holds until the test ends.
func MailsRecognised(t *testing.T) *time.Time {
	before := mailsRecognised
	t.Cleanup(func() { mailsRecognised = before })
	return &mailsRecognised
}

// TimesTold is since when other times are versions; what it is set to holds until the test ends.
func TimesTold(t *testing.T) *time.Time {
	before := timesTold
	t.Cleanup(func() { timesTold = before })
	return &timesTold
}
