package durable

// ReplaceLink replaces the making of hard links until the returned function is called.
func ReplaceLink(link func(oldname, newname string) error) (restore func()) {
	before := testOnlyLink
	testOnlyLink = link
	return func() { testOnlyLink = before }
}
