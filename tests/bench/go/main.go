// SPDX-License-Identifier: Apache-2.0

// The worker that one would write in Go without precis's promises: jobs from Kafka, the same request to the same
// model, summary and cost into PostgreSQL in batches, offsets committed. tests/bench/run measures precis against it.
//
// It is meant to be good: one goroutine a job in flight, a tuned Transport with HTTP/2 over TLS, rows inserted by the
// hundred. What it leaves out is why precis costs something: no row before a call, no fence against a second worker,
// no check of quotes, no money in doubt, no retry, offsets that may pass an unfinished job.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os/signal"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

type options struct {
	brokers, topic, group, database, url, ca, key string
	inFlight                                      int
	stream                                        bool
}

func readOptions() options {
	var o options
	flag.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "Kafka's address")
	flag.StringVar(&o.topic, "topic", "precis.jobs", "where the jobs are")
	flag.StringVar(&o.group, "group", "plain", "consumer group")
	flag.StringVar(&o.database, "database", "", "PostgreSQL, as a URL")
	flag.StringVar(&o.url, "url", "", "base URL of the model API")
	flag.StringVar(&o.ca, "ca", "", "PEM file of the CA that signed the API's certificate; empty: the system's")
	flag.StringVar(&o.key, "key", "", "API key")
	flag.IntVar(&o.inFlight, "in-flight", 1000, "calls at once")
	flag.BoolVar(&o.stream, "stream", true, "ask for streamed answers")
	flag.Parse()
	return o
}

type job struct {
	ID       string `json:"id"`
	Document struct {
		Text string `json:"text"`
	} `json:"document"`
}

// One job from its message to its row.
func work(ctx context.Context, api *client, out *writer, record *kgo.Record) {
	var j job
	if err := json.Unmarshal(record.Value, &j); err != nil {
		log.Printf("message at %d:%d: %v", record.Partition, record.Offset, err)
		return
	}
	got, err := api.summarize(ctx, j.ID, j.Document.Text)
	if err != nil {
		if ctx.Err() == nil {
			log.Printf("job %s: %v", j.ID, err)
		}
		return
	}
	out.rows <- row{job: j.ID, answer: got, record: record}
}

func main() {
	o := readOptions()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(o.brokers), kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll())
	if err != nil {
		log.Fatal(err)
	}
	api, err := newClient(o)
	if err != nil {
		log.Fatal(err)
	}
	out, err := newWriter(ctx, o, kafka)
	if err != nil {
		log.Fatal(err)
	}

	slots := make(chan struct{}, o.inFlight)
	var jobs sync.WaitGroup
	for ctx.Err() == nil {
		fetches := kafka.PollRecords(ctx, 500)
		fetches.EachError(func(_ string, partition int32, err error) {
			if ctx.Err() == nil {
				log.Printf("partition %d: %v", partition, err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			slots <- struct{}{}
			jobs.Go(func() {
				work(ctx, api, out, record)
				<-slots
			})
		})
		kafka.AllowRebalance()
	}
	jobs.Wait()
	out.close()
	if err := kafka.CommitMarkedOffsets(context.Background()); err != nil {
		log.Print(err)
	}
	kafka.CloseAllowingRebalance()
}
