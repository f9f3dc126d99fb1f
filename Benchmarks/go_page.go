// go_page ADDRESS COUNT: so many counters of Go's client_golang, served by promhttp as it comes.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	count, _ := strconv.Atoi(os.Args[2])
	requests := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "app_requests_total", Help: "Requests"}, []string{"endpoint", "method", "status"})
	prometheus.MustRegister(requests)
	for n := 0; n < count; n++ {
		requests.WithLabelValues(fmt.Sprintf("/path/%d", n), "GET", "200").Inc()
	}
	http.Handle("/metrics", promhttp.Handler())
	fmt.Println(http.ListenAndServe(os.Args[1], nil))
	os.Exit(1)
}
