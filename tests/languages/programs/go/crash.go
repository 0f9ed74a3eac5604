package main

import "os"

func main() {
	var table map[string]int
	table[os.Args[0]] = 1
}
