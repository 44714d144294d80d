import java.io.IOException;
import java.util.Collections;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.AbstractHandler;

/**
 * Jetty, which changes to HTTP/2 when it is offered h2c and takes clients that begin with it: java Server.java PORT.
 *
 * Says of each request which version it came in, its method and body, and the names of its fields.
 */
public class Jetty extends AbstractHandler {
    public static void main(String[] arguments) throws Exception {
        HttpConfiguration settings = new HttpConfiguration();
        Server server = new Server();
        ServerConnector connector =
            new ServerConnector(server, new HttpConnectionFactory(settings), new HTTP2CServerConnectionFactory(settings));
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(arguments[0]));
        server.addConnector(connector);
        server.setHandler(new Jetty());
        server.start();
        server.join();
    }

    @Override
    public void handle(String target, Request base, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        String body = request.getReader().lines().collect(Collectors.joining("\n"));
        String fields = new TreeSet<>(Collections.list(request.getHeaderNames()))
            .stream().map(name -> quoted(name.toLowerCase())).collect(Collectors.joining(", "));
        response.setContentType("application/json");
        response.getWriter().printf(
            "{\"version\": %s, \"method\": %s, \"path\": %s, \"body\": %s, \"fields\": [%s]}",
            quoted(request.getProtocol().substring("HTTP/".length())), quoted(request.getMethod()), quoted(target),
            quoted(body), fields);
        base.setHandled(true);
    }

    private static String quoted(String text) {
        return '"' + text + '"';
    }
}
