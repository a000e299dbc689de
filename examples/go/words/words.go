// Package words counts words.
package words

import "unicode"

// Count says how many words a text has.
func Count(text string) int {
	return len(split(text))
}

func split(text string) []string {
	var words []string
	start := -1
	for i, letter := range text {
		switch isSpace := unicode.IsSpace(letter); {
		case isSpace && start >= 0:
			words = append(words, text[start:i])
			start = -1
		case !isSpace && start < 0:
			start = i
		}
	}
	if start >= 0 {
		words = append(words, text[start:])
	}
	return words
}
