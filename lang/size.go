package lang

import (
	"fmt"
	"strings"
)

// Bytes is a size. As an argument of a sentence it is written for people, in the units of IEC 80000-13 (a KiB is 1024 bytes) and with
// the language's decimal sign; for programs it is a number.
type Bytes int64

// In writes the size in a language.
func (n Bytes) In(l Language) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= 999.95 && i < 4 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%s %ciB", Decimal(l, value), "KMGTP"[i])
}

// Decimal writes a number with one digit behind the point, or the comma.
func Decimal(l Language, f float64) string {
	s := fmt.Sprintf("%.1f", f)
	if l == Portuguese {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}
