package dev.weir.simulation;

import dev.weir.scheduling.HoldReason;
import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Writes what a scheduler decided about requests that wait, a row for each decision:
 *
 * <ul>
 *   <li>{@code held}: the request was not scheduled, and why ({@link HoldReason}). A scheduler
 *       names the one that would have been next; those behind it wait for the same reason;
 *   <li>{@code admitted}: with the overflow probability that the scheduler predicted, if it
 *       predicts any;
 *   <li>{@code evicted}.
 * </ul>
 *
 * <p>As JSON lines if the name of the file ends in {@code .jsonl}, else as CSV. Times in seconds
 * with nine decimals; the request is its position in the workload, from 0.
 */
public final class DecisionLog implements SimulationListener, Closeable {
  private static final String HEADER = "time,event,request,reason,overflow_probability\n";

  private final BufferedWriter writer;
  private final boolean json;
  private double time;

  /** Creates or replaces the file. */
  public DecisionLog(Path file) throws IOException {
    json = file.toString().endsWith(".jsonl");
    writer = Files.newBufferedWriter(file);
    if (!json) {
      writer.write(HEADER);
    }
  }

  @Override
  public void planned(double time) {
    this.time = time;
  }

  @Override
  public void evicted(SimulatedRequest request) {
    write("evicted", request, "", "");
  }

  @Override
  public void held(SimulatedRequest request, HoldReason reason) {
    write("held", request, reason.name(), "");
  }

  @Override
  public void predicted(SimulatedRequest request, double overflowProbability) {
    write("admitted", request, "", Double.toString(overflowProbability));
  }

  private void write(String event, SimulatedRequest request, String reason, String probability) {
    // Reasons are names of constants and need no quoting.
    String line =
        json
            ? String.format(
                Locale.ROOT,
                "{\"time\":%.9f,\"event\":\"%s\",\"request\":%d%s%s}\n",
                time,
                event,
                request.index(),
                reason.isEmpty() ? "" : ",\"reason\":\"" + reason + "\"",
                probability.isEmpty() ? "" : ",\"overflow_probability\":" + probability)
            : String.format(
                Locale.ROOT,
                "%.9f,%s,%d,%s,%s\n",
                time,
                event,
                request.index(),
                reason,
                probability);
    try {
      writer.write(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}
