module udp-proxy/interop

go 1.13

require github.com/DataDog/datadog-go/v5 v5.9.1
