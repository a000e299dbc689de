package words

import "testing"

func TestWhiteSpaceOfAnyKindSeparates(t *testing.T) {
	if got := split(" a\tb\nc "); len(got) != 3 {
		t.Errorf("split into %q", got)
	}
}
