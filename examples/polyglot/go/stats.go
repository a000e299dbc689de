package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"

	"example.org/names"
)

func main() {
	var numbers []float64
	sum, middle := 0.0, 0.0
	for _, word := range os.Args[1:] {
		number, err := strconv.ParseFloat(word, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		numbers = append(numbers, number)
		sum += number
	}
	sort.Float64s(numbers)
	if count := len(numbers); count > 0 {
		sum /= float64(count)
		middle = (numbers[(count-1)/2] + numbers[count/2]) / 2
	}
	fmt.Printf("%s %g %s %g\n", names.Mean, sum, names.Median, middle)
}
