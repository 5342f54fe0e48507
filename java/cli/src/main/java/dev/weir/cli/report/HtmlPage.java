package dev.weir.cli.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * One HTML file that needs nothing else, so that it opens from a file without a network: a template
 * in the frame that all pages share, with their style, chart.js, the data and the shared script.
 */
final class HtmlPage {
  private static final String CHART_JS =
      "/META-INF/resources/webjars/chart.js/4.5.1/dist/chart.umd.min.js";
  private static final String SCRIPTS =
      """
      <script type="application/json" id="data">/*DATA*/</script>
      <script>/*CHART*/</script>
      <script>/*PAGE*/</script>""";
  private static final ObjectMapper JSON =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  private HtmlPage() {}

  /**
   * The whole page.
   *
   * @param template a resource beside this class: the body of the page with the mark {@code
   *     <!--SCRIPTS-->} before its own script
   * @param data what its script reads: a record with at least {@code title}, {@code lead} and
   *     {@code facts}
   */
  static String render(String template, Object data) {
    String json;
    try {
      json = JSON.writeValueAsString(data);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
    // The data come last, so that no mark inside a text is taken for one.
    // "</script>" inside a text would end the element; "\/" is the same character in JSON.
    return resource("frame.html")
        .replace("<!--TEMPLATE-->", resource(template).strip())
        .replace("<!--SCRIPTS-->", SCRIPTS)
        .replace("/*STYLE*/", resource("page.css"))
        .replace("/*PAGE*/", resource("page.js"))
        .replace("/*CHART*/", resource(CHART_JS).replaceFirst("//# sourceMappingURL=\\S*", ""))
        .replace("/*DATA*/", json.replace("</", "<\\/").replace("<!--", "<\\u0021--"));
  }

  private static String resource(String name) {
    try (InputStream in = HtmlPage.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("resource " + name + " is missing from the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
