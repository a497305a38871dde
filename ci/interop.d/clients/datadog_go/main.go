// Go datadog-go: plays its part of the plan, a chunk for each line on standard input.
// Its client-side aggregation is on, as by default, so that one line may stand for several calls.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/ioutil"
	"os"
	"time"

	"github.com/DataDog/datadog-go/v5/statsd"
)

type op struct {
	Kind  string
	Name  string
	Value interface{}
	More  struct {
		Tags                        []string
		Alert                       string `json:"alert_type"`
		Key                         string `json:"aggregation_key"`
		Source                      string `json:"source_type_name"`
		Hostname, Message, Priority string
		At                          int64
	}
}

func main() {
	var plan struct {
		Clients map[string][]struct{ Ops []op }
	}
	text, err := ioutil.ReadFile(os.Args[1])
	must(err)
	must(json.Unmarshal(text, &plan))
	address := os.Args[3]
	if os.Args[2] == "unix" {
		address = "unixgram://" + address
	}
	// Only Flush sends: what leaves together does not depend on time.
	client, err := statsd.New(address, statsd.WithoutTelemetry(), statsd.WithoutOriginDetection(),
		statsd.WithAggregationInterval(time.Hour), statsd.WithBufferFlushInterval(time.Hour),
		statsd.WithWriteTimeout(5*time.Second), statsd.WithErrorHandler(func(err error) { must(err) }))
	must(err)
	fmt.Println("ready")
	chunks := plan.Clients["datadog_go"]
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); chunks = chunks[1:] {
		for _, op := range chunks[0].Ops {
			must(play(client, op))
		}
		must(client.Flush())
		fmt.Println("done")
	}
}

func play(client *statsd.Client, op op) error {
	number, _ := op.Value.(float64)
	word, _ := op.Value.(string)
	switch op.Kind {
	case "count":
		return client.Count(op.Name, int64(number), op.More.Tags, 1)
	case "gauge":
		return client.Gauge(op.Name, number, op.More.Tags, 1)
	case "timing":
		return client.TimeInMilliseconds(op.Name, number, op.More.Tags, 1)
	case "histogram":
		return client.Histogram(op.Name, number, op.More.Tags, 1)
	case "distribution":
		return client.Distribution(op.Name, number, op.More.Tags, 1)
	case "set":
		return client.Set(op.Name, word, op.More.Tags, 1)
	case "stamped":
		return client.CountWithTimestamp(op.Name, int64(number), op.More.Tags, 1, time.Unix(op.More.At, 0))
	case "event":
		return client.Event(&statsd.Event{Title: op.Name, Text: word, Tags: op.More.Tags, Hostname: op.More.Hostname,
			AlertType: statsd.EventAlertType(op.More.Alert), AggregationKey: op.More.Key,
			SourceTypeName: op.More.Source, Priority: statsd.EventPriority(op.More.Priority)})
	case "check":
		return client.ServiceCheck(&statsd.ServiceCheck{Name: op.Name, Status: statsd.ServiceCheckStatus(number),
			Tags: op.More.Tags, Hostname: op.More.Hostname, Message: op.More.Message})
	}
	return fmt.Errorf("unknown kind %q", op.Kind)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
