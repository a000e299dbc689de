// Count says how many words its arguments have.
package main

import (
	"embed"
	"fmt"
	"os"

	"example.org/sum"
	"example.org/words"
)

//go:embed help
var help embed.FS

func main() {
	if len(os.Args) == 1 {
		text, err := help.ReadFile("help/usage.txt")
		if err != nil {
			panic(err)
		}
		fmt.Print(string(text))
		return
	}
	var total int64
	for _, argument := range os.Args[1:] {
		total = sum.Of(total, int64(words.Count(argument)))
	}
	fmt.Println(total)
}
