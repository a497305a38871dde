// What the cluster's own test sends and answers with.
//
//	udp echo ADDRESS NAME   answers each datagram with "NAME " and what came
//	udp send ADDRESS COUNT  sends COUNT datagrams, one after another, and says how many came back, and from whom
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: udp echo ADDRESS NAME | udp send ADDRESS COUNT")
		os.Exit(2)
	}
	run := map[string]func(string, string) error{"echo": echo, "send": send}[os.Args[1]]
	if err := run(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func echo(address, name string) error {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 65536)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := socket.WriteTo(append([]byte(name+" "), buffer[:n]...), from); err != nil {
			return err
		}
	}
}

func send(address, count string) error {
	socket, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	total, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	back, names, buffer := 0, map[string]bool{}, make([]byte, 65536)
	for i := range total {
		sent := fmt.Sprintf("datagram-%d", i)
		if _, err := socket.Write([]byte(sent)); err != nil {
			continue // "connection refused" of an earlier one
		}
		socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := socket.Read(buffer); err == nil {
			if name, got, _ := strings.Cut(string(buffer[:n]), " "); got == sent {
				back++
				names[name] = true
			}
		}
	}
	fmt.Printf("%d", back)
	for name := range names {
		fmt.Printf(" %s", name)
	}
	fmt.Println()
	return nil
}
