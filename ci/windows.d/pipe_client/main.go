// A DogStatsD client as programs on Windows have it: sends COUNT different lines to ADDRESS.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/DataDog/datadog-go/v5/statsd"
)

func main() {
	address := os.Args[1]
	count, err := strconv.Atoi(os.Args[2])
	must(err)
	// Without aggregation each call is a line; a full queue waits and loses none.
	client, err := statsd.New(address, statsd.WithoutTelemetry(), statsd.WithoutOriginDetection(),
		statsd.WithoutClientSideAggregation(), statsd.WithWriteTimeout(10*time.Second),
		statsd.WithErrorHandler(func(err error) { must(err) }))
	must(err)
	for i := 0; i < count; i++ {
		must(client.Gauge("pipe.gauge", float64(i), []string{"number:" + strconv.Itoa(i)}, 1))
	}
	must(client.Close())
	fmt.Println("sent", count)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
