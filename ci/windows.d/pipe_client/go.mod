module udp-proxy/pipe-client

go 1.13

require github.com/DataDog/datadog-go/v5 v5.9.1
