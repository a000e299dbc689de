package words_test

import (
	"fmt"
	"os"
	"testing"

	"example.org/words"
)

func TestAFile(t *testing.T) {
	text, err := os.ReadFile("testdata/rain.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := words.Count(string(text)); got != 9 {
		t.Errorf("%d words", got)
	}
}

func ExampleCount() {
	fmt.Println(words.Count("words of Go"))
	// Output: 3
}
