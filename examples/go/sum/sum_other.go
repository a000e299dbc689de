//go:build !amd64

// Package sum adds.
package sum

// Of adds two numbers.
func Of(a, b int64) int64 { return a + b }

// How says what adds.
const How = "Go"
