// A producer in Go, with its standard library alone: a chunk of mentions over REST, then what became of it.
//
//	go run examples/producers/producer.go
//
// WORKER_URL (http://127.0.0.1:8000) and WORKER_API_KEY (none) say where the worker is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type mention struct {
	ID        string `json:"id,omitempty"`
	Text      string `json:"text"`
	CreatedAt string `json:"created_at,omitempty"`
	Author    string `json:"author,omitempty"`
	Source    string `json:"source,omitempty"`
}

type task struct {
	Type     string    `json:"type"`
	Brand    string    `json:"brand"`
	ChunkID  string    `json:"chunkId,omitempty"`
	Mentions []mention `json:"mentions"`
}

type record struct {
	ID     string          `json:"id"`
	Status string          `json:"status"`
	Result json.RawMessage `json:"result,omitempty"`
}

const wait = 30 * time.Second

var client = &http.Client{Timeout: 10 * time.Second}

// ask sends one request. A refusal is a problem document that names the field.
func ask(method, path string, body any) (record, error) {
	var found record
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return found, err
		}
		sent = bytes.NewReader(raw)
	}
	base := os.Getenv("WORKER_URL")
	if base == "" {
		base = "http://127.0.0.1:8000"
	}
	request, err := http.NewRequest(method, strings.TrimRight(base, "/")+path, sent)
	if err != nil {
		return found, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("WORKER_API_KEY"); key != "" {
		request.Header.Set("X-API-Key", key)
	}
	answer, err := client.Do(request)
	if err != nil {
		return found, fmt.Errorf("%w; is a worker running, does WORKER_URL name it?", err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return found, err
	}
	if answer.StatusCode >= 300 {
		return found, fmt.Errorf("%s %s", answer.Status, raw)
	}
	return found, json.Unmarshal(raw, &found)
}

func run() (record, error) {
	sent, err := ask(http.MethodPost, "/v1/tasks", task{
		Type:  "analyze_mentions",
		Brand: "acme",
		// The same chunk sent again is known by its id and content: nothing is stored or published twice.
		ChunkID: "producer-go-1",
		Mentions: []mention{{
			ID:        "go-1",
			Text:      "Acme login is broken, 502 Bad Gateway, and the status page says all is well",
			CreatedAt: "2025-03-03T10:25:48Z",
			Author:    "user_9",
			Source:    "forum",
		}},
	})
	if err != nil {
		return sent, err
	}
	path := "/v1/tasks/" + url.PathEscape(sent.ID)
	for until := time.Now().Add(wait); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		if sent, err = ask(http.MethodGet, path, nil); err != nil || sent.Status == "succeeded" || sent.Status == "failed" {
			break
		}
	}
	return sent, err
}

func main() {
	done, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil || done.Status != "succeeded" {
		os.Exit(1)
	}
}
