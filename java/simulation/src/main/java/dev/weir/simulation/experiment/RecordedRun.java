package dev.weir.simulation.experiment;

import de.siegmar.fastcsv.reader.CommentStrategy;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A run in the logs of the fork of Vidur with which the authors of arXiv 2504.11320 simulated
 * (github.com/Luoxiaogan/vidur_or): Meta-Llama-3-8B on an A100, 8,000 requests.
 *
 * @param test name of the test
 * @param policy {@code vllm}, {@code sarathi} or {@code modified_nested}
 * @param totalLimit setting of {@code modified_nested}: requests in a batch, before rounding
 * @param batchSize largest batch of {@code modified_nested}, and the cap that the others were given
 * @param slots one for each request in each iteration
 * @param seconds end of the last iteration
 * @param completed requests that ended
 */
record RecordedRun(
    String test,
    String policy,
    OptionalInt totalLimit,
    int batchSize,
    long slots,
    double seconds,
    int completed) {
  /** Requests of each run. */
  static final int REQUESTS = 8000;

  static final String NESTED = "modified_nested";
  static final String VLLM = "vllm";
  static final String SARATHI = "sarathi";

  private static final String RESOURCE = "vidur-or-runs.csv";

  /** All runs that are kept. */
  static List<RecordedRun> all() {
    try (InputStream stream = RecordedRun.class.getResourceAsStream(RESOURCE)) {
      if (stream == null) {
        throw new IllegalStateException("resource " + RESOURCE + " is missing from the class path");
      }
      Reader text = new InputStreamReader(stream, StandardCharsets.UTF_8);
      try (CsvReader<NamedCsvRecord> rows =
          CsvReader.builder().commentStrategy(CommentStrategy.SKIP).ofNamedCsvRecord(text)) {
        return rows.stream().map(RecordedRun::of).toList();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static RecordedRun of(NamedCsvRecord row) {
    String limit = row.getField("total_limit");
    return new RecordedRun(
        row.getField("test"),
        row.getField("policy"),
        limit.isEmpty() ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(limit)),
        Integer.parseInt(row.getField("batch_size")),
        Long.parseLong(row.getField("slots")),
        Double.parseDouble(row.getField("end_s")),
        Integer.parseInt(row.getField("completed")));
  }

  /**
   * The run of a policy that belongs to a total limit: that of {@code modified_nested} with the
   * limit, or of another policy with the cap that goes with it.
   */
  static Optional<RecordedRun> ofLimit(
      List<RecordedRun> runs, String test, String policy, int totalLimit) {
    List<RecordedRun> ofTest = runs.stream().filter(run -> run.test().equals(test)).toList();
    OptionalInt batch =
        ofTest.stream()
            .filter(run -> run.totalLimit().orElse(0) == totalLimit)
            .mapToInt(RecordedRun::batchSize)
            .findFirst();
    return ofTest.stream()
        .filter(run -> run.policy().equals(policy) && batch.orElse(0) == run.batchSize())
        .findFirst();
  }

  double slotsPerSecond() {
    return slots / seconds;
  }

  double completedPerSecond() {
    return completed / seconds;
  }
}
