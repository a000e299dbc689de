// Package words counts words.
package words

import "strings"

// Count says how many words a text has.
func Count(text string) int {
	return len(split(text))
}

func split(text string) []string {
	return strings.Fields(text)
}
