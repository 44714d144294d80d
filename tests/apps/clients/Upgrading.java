import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Java's HttpClient as it is by default, which offers h2c with a connection's first request: java Upgrading.java URL… */
public class Upgrading {
    public static void main(String[] urls) throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
        for (String url : urls) {
            for (String body : new String[] {null, "hello"}) {
                HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
                if (body != null) {
                    request.POST(BodyPublishers.ofString(body));
                }
                HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
                System.out.println(response.statusCode() + " " + response.version() + " " + response.body());
            }
        }
    }
}
