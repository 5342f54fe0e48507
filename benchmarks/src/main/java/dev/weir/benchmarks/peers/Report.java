package dev.weir.benchmarks.peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.weir.benchmarks.peers.Results.Engine;
import dev.weir.benchmarks.peers.Results.Quantity;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a run measured, as text and as JSON.
 *
 * @param facts what was measured where, by name, in the order to be shown
 * @param contexts tokens a sequence had
 * @param batches sequences that decoded together
 * @param models results by the name of the model
 */
record Report(
    Map<String, String> facts,
    List<Integer> contexts,
    List<Integer> batches,
    Map<String, Results> models) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Sequences for which Jlama is shown: it runs them one after another. */
  private static final List<Integer> JLAMA_BATCHES = List.of(1, 16);

  private static final int JAVA_BATCH = 64;

  String text() {
    StringBuilder text = new StringBuilder();
    int width = facts.keySet().stream().mapToInt(String::length).max().orElse(0);
    facts.forEach((name, value) -> text.append(("%-" + width + "s  %s\n").formatted(name, value)));
    models.forEach(
        (name, results) -> {
          text.append(llama(name, results));
          text.append(jlama(name, results));
          text.append(java(results));
        });
    return text.toString();
  }

  private String llama(String name, Results results) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(
        List.of(
            "", "context", "batch", "llama.cpp", "attention", "Weir", "Weir/llama.cpp", "goal"));
    for (int context : contexts) {
      for (int batch : batches) {
        rows.add(llama(results, Quantity.DECODE, new Point(context, batch), Goals.decode(batch)));
      }
    }
    for (int context : contexts) {
      rows.add(llama(results, Quantity.PROMPT, new Point(context, 1), Goals.PROMPT));
    }
    return "\n%s: tokens/s over all sequences, median (lowest to highest) over the rounds\n\n%s"
        .formatted(name, table(rows));
  }

  private static List<String> llama(Results results, Quantity quantity, Point point, double goal) {
    Engine engine = results.faster(quantity, point);
    Samples peer = results.get(engine, quantity, point);
    Samples weir = results.get(Engine.WEIR, quantity, point);
    return List.of(
        quantity == Quantity.PROMPT ? "prompt" : "decode",
        Integer.toString(point.context()),
        Integer.toString(point.batch()),
        text(peer),
        peer.isEmpty() ? "" : engine == Engine.LLAMA_FLASH ? "flash" : "plain",
        text(weir),
        ratio(weir, peer),
        goal(weir, peer, goal));
  }

  /** Empty if Jlama was not measured. */
  private String jlama(String name, Results results) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("", "context", "batch", "Jlama", "Weir", "Weir/Jlama", "goal"));
    for (int context : contexts) {
      Point one = new Point(context, 1);
      Samples peer = results.get(Engine.JLAMA, Quantity.DECODE, one);
      for (int batch : JLAMA_BATCHES) {
        Samples weir = results.get(Engine.WEIR, Quantity.DECODE, new Point(context, batch));
        if (!peer.isEmpty() && !weir.isEmpty()) {
          rows.add(jlama("decode", context, batch, peer, weir, Goals.jlama(batch)));
        }
      }
      Samples prompt = results.get(Engine.JLAMA, Quantity.PROMPT, one);
      Samples weirPrompt = results.get(Engine.WEIR, Quantity.PROMPT, one);
      if (!prompt.isEmpty() && !weirPrompt.isEmpty()) {
        rows.add(jlama("prompt", context, 1, prompt, weirPrompt, Double.NaN));
      }
    }
    return rows.size() == 1
        ? ""
        : ("\n%s: Jlama has no batching: 16 sequences run one after another at the rate of one"
                + "\n\n%s")
            .formatted(name, table(rows));
  }

  private static List<String> jlama(
      String what, int context, int batch, Samples peer, Samples weir, double goal) {
    return List.of(
        what,
        Integer.toString(context),
        Integer.toString(batch),
        text(peer),
        text(weir),
        ratio(weir, peer),
        goal(weir, peer, goal));
  }

  private String java(Results results) {
    StringBuilder text = new StringBuilder();
    for (int context : contexts) {
      Samples samples = results.get(Engine.WEIR, Quantity.JAVA, new Point(context, JAVA_BATCH));
      if (!samples.isEmpty()) {
        text.append(
            "\nWeir's Java side of a step at %d sequences, context %d: %s µs\n"
                .formatted(JAVA_BATCH, context, text(samples)));
      }
    }
    return text.toString();
  }

  private static String text(Samples samples) {
    return samples.isEmpty()
        ? "-"
        : String.format(
            Locale.ROOT, "%.1f (%.1f to %.1f)", samples.median(), samples.min(), samples.max());
  }

  private static String ratio(Samples weir, Samples peer) {
    return weir.isEmpty() || peer.isEmpty()
        ? "-"
        : String.format(Locale.ROOT, "%.2f", weir.median() / peer.median());
  }

  private static String goal(Samples weir, Samples peer, double goal) {
    if (Double.isNaN(goal)) {
      return "";
    }
    String text = String.format(Locale.ROOT, "%.1f", goal);
    if (weir.isEmpty() || peer.isEmpty()) {
      return text;
    }
    return text + (weir.median() >= goal * peer.median() ? " reached" : " missed");
  }

  /** Columns as wide as their longest cell. */
  private static String table(List<List<String>> rows) {
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.size(); i++) {
        int column = i;
        int width = rows.stream().mapToInt(each -> each.get(column).length()).max().orElse(0);
        line.append(("%-" + Math.max(1, width) + "s  ").formatted(row.get(i)));
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }

  /** Every sample, in tokens a second (the Java side in microseconds), and the medians. */
  ObjectNode json() {
    ObjectNode json = JSON.createObjectNode();
    facts.forEach(json.putObject("facts")::put);
    ArrayNode list = json.putArray("samples");
    models.forEach(
        (name, results) ->
            results
                .all()
                .forEach(
                    (key, samples) -> {
                      ObjectNode entry = list.addObject();
                      entry.put("model", name);
                      entry.put("engine", key.engine().text);
                      entry.put("quantity", key.quantity().name().toLowerCase(Locale.ROOT));
                      entry.put("context", key.point().context());
                      entry.put("batch", key.point().batch());
                      entry.put("median", samples.median());
                      samples.values().forEach(entry.putArray("values")::add);
                    }));
    return json;
  }
}
