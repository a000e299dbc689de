// Package sum adds.
package sum

// Of adds two numbers.
func Of(a, b int64) int64

// How says what adds.
const How = "assembler"
