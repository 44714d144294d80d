// Go's own client: go run http2.go URL CERTIFICATE. Says what httpx_client.py says.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"sync"
)

var (
	client   *http.Client
	lock     sync.Mutex
	requests int
	servers  = map[string]bool{}
	spoken   = map[string]bool{}
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func exchange(url string, body []byte) (int, []byte) {
	method := "GET"
	var reader io.Reader
	if body != nil {
		// Of a length that is not known before.
		method, reader = "POST", io.MultiReader(bytes.NewReader(body))
	}
	request, err := http.NewRequest(method, url, reader)
	check(err)
	response, err := client.Do(request)
	check(err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	check(err)
	lock.Lock()
	defer lock.Unlock()
	requests++
	servers[response.Header.Get("x-server")] = true
	spoken[response.Proto] = true
	return response.StatusCode, content
}

func together(count int, ask func(int)) {
	var group sync.WaitGroup
	for number := 0; number < count; number++ {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			ask(number)
		}(number)
	}
	group.Wait()
}

func main() {
	url := os.Args[1]
	pem, err := os.ReadFile(os.Args[2])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	check(err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	client = &http.Client{Transport: transport, Jar: jar}
	_, first := exchange(url+"/asset/1.txt", nil)
	together(100, func(number int) {
		status, body := exchange(fmt.Sprintf("%s/asset/%d.txt", url, number), nil)
		if status != 200 || !bytes.Equal(body, first) {
			panic(fmt.Sprint(status, " ", string(body)))
		}
	})
	sent := bytes.Repeat([]byte("abcdefghij"), 100_000)
	together(5, func(int) {
		if _, body := exchange(url+"/echo", sent); !bytes.Equal(body, sent) {
			panic("another echo")
		}
	})
	together(3, func(int) {
		if _, body := exchange(url+"/large", nil); len(body) != 5_000_000 {
			panic("cut short")
		}
	})
	if status, _ := exchange(url+"/gone", nil); status != 404 {
		panic(status)
	}
	for protocol := range spoken {
		fmt.Print(protocol, " ")
	}
	fmt.Println(requests, len(servers))
}
