// client URL [native]: pushes, adds and deletes with Go's client_golang, as protobuf and as text.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
)

func try(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	url := os.Args[1]
	counter := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "pushed_jobs_total", Help: "Jobs \\ \n\"done\""}, []string{"kind"})
	counter.WithLabelValues("a\"\n\\").Add(3)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushed_temperature", Help: "How warm"})
	gauge.Set(-1.5)
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pushed_seconds", Help: "Time"})
	histogram.Observe(0.3)
	summary := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "pushed_size", Help: "Size", Objectives: map[float64]float64{0.5: 0.05, 0.99: 0.001}})
	for n := 0; n < 100; n++ {
		summary.Observe(float64(n))
	}
	if len(os.Args) > 2 {
		native := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pushed_native_seconds", Help: "Time", NativeHistogramBucketFactor: 1.1})
		native.Observe(0.3)
		try(push.New(url, "native").Collector(native).Push())
		return
	}
	pusher := func(job string) *push.Pusher {
		return push.New(url, job).Collector(counter).Collector(gauge).Collector(histogram).Collector(summary)
	}
	try(pusher("batch").Grouping("path", "/a/b").Grouping("empty", "").Push())
	gauge.Set(20)
	try(push.New(url, "batch").Grouping("path", "/a/b").Grouping("empty", "").Collector(gauge).Add())
	try(pusher("text").Format(expfmt.FmtText).Push())
	try(pusher("text").Format(expfmt.FmtText).Add())
	try(pusher("gone").Push())
	try(push.New(url, "gone").Delete())
	try(push.New(url, "whole").Gatherer(prometheus.DefaultGatherer).Push())
}
