import java.io.FileInputStream;
import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Java's HttpClient: java Http2.java URL CERTIFICATE. Says what httpx_client.py says. */
public class Http2 {
    private final HttpClient client;
    private final String url;
    private final Set<String> servers = new TreeSet<>();
    private final Set<String> spoken = new TreeSet<>();
    private int requests = 0;

    Http2(String url, String certificate) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream file = new FileInputStream(certificate)) {
            store.setCertificateEntry("main", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        this.url = url;
        this.client = HttpClient.newBuilder().sslContext(context).cookieHandler(new CookieManager()).build();
    }

    CompletableFuture<HttpResponse<byte[]>> exchange(String path, byte[] body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(60));
        if (body != null) {
            request.POST(BodyPublishers.ofByteArray(body));
        }
        return client.sendAsync(request.build(), BodyHandlers.ofByteArray());
    }

    HttpResponse<byte[]> look(CompletableFuture<HttpResponse<byte[]>> asked) throws Exception {
        HttpResponse<byte[]> response = asked.get();
        requests += 1;
        servers.add(response.headers().firstValue("x-server").orElse("none"));
        spoken.add(response.version().toString());
        return response;
    }

    List<HttpResponse<byte[]>> together(int count, String path, byte[] body) throws Exception {
        List<CompletableFuture<HttpResponse<byte[]>>> asked = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            asked.add(exchange(path.replace("N", "" + number), body));
        }
        List<HttpResponse<byte[]>> answers = new ArrayList<>();
        for (CompletableFuture<HttpResponse<byte[]>> one : asked) {
            answers.add(look(one));
        }
        return answers;
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new IllegalStateException("" + what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Http2 http = new Http2(arguments[0], arguments[1]);
        byte[] first = http.together(1, "/asset/1.txt", null).get(0).body();
        for (HttpResponse<byte[]> answer : http.together(100, "/asset/N.txt", null)) {
            check(answer.statusCode() == 200 && Arrays.equals(answer.body(), first), answer);
        }
        byte[] sent = "abcdefghij".repeat(100_000).getBytes();
        for (HttpResponse<byte[]> answer : http.together(5, "/echo", sent)) {
            check(Arrays.equals(answer.body(), sent), "another echo");
        }
        for (HttpResponse<byte[]> answer : http.together(3, "/large", null)) {
            check(answer.body().length == 5_000_000, "cut short");
        }
        check(http.together(1, "/gone", null).get(0).statusCode() == 404, "it is there");
        System.out.println(String.join(" ", http.spoken) + " " + http.requests + " " + http.servers.size());
    }
}
