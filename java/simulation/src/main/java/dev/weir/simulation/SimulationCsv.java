package dev.weir.simulation;

import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Locale;
import java.util.PriorityQueue;

/**
 * Writes what happens in a simulation as CSV, in the columns of Vidur's golden runs: a row for each
 * request that ended, in order of arrival, and a row for each iteration. Times in seconds with nine
 * decimals. Holds the requests that ended before an older one did.
 */
public final class SimulationCsv implements SimulationListener, Closeable {
  private static final String REQUEST_HEADER =
      "request,arrived_at,num_prefill_tokens,num_decode_tokens,scheduled_at,prefill_completed_at,"
          + "completed_at,num_restarts,execution_time,preempted_time\n";
  private static final String ITERATION_HEADER =
      "iteration,start,end,batch_size,prefill_tokens,decode_tokens\n";

  private final BufferedWriter requests;
  private final BufferedWriter iterations;
  private final PriorityQueue<SimulatedRequest> ended =
      new PriorityQueue<>(Comparator.comparingLong(SimulatedRequest::index));
  private final PriorityQueue<Long> refused = new PriorityQueue<>();
  private long nextIndex;

  /**
   * @param requestFile where requests go; null for nowhere
   * @param iterationFile where iterations go; null for nowhere
   */
  public SimulationCsv(Path requestFile, Path iterationFile) throws IOException {
    requests = open(requestFile, REQUEST_HEADER);
    iterations = open(iterationFile, ITERATION_HEADER);
  }

  private static BufferedWriter open(Path file, String header) throws IOException {
    if (file == null) {
      return null;
    }
    BufferedWriter writer = Files.newBufferedWriter(file);
    writer.write(header);
    return writer;
  }

  @Override
  public void refused(long index, Arrival arrival, String reason) {
    if (requests != null) {
      refused.add(index);
      writeRequests();
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    if (requests != null) {
      ended.add(request);
      writeRequests();
    }
  }

  private void writeRequests() {
    while (true) {
      if (!refused.isEmpty() && refused.element() == nextIndex) {
        refused.remove();
      } else if (!ended.isEmpty() && ended.element().index() == nextIndex) {
        write(ended.remove());
      } else {
        return;
      }
      nextIndex++;
    }
  }

  private void write(SimulatedRequest r) {
    write(
        requests,
        String.format(
            Locale.ROOT,
            "%d,%.6f,%d,%d,%.9f,%.9f,%.9f,%d,%.9f,%.9f\n",
            r.index(),
            r.arrival().seconds(),
            r.arrival().promptTokens(),
            r.arrival().outputTokens(),
            r.scheduledAt(),
            r.prefillCompletedAt(),
            r.completedAt(),
            r.evictions(),
            r.executionTime(),
            r.preemptedTime()));
  }

  @Override
  public void iterated(SimulatedIteration i) {
    if (iterations != null) {
      write(
          iterations,
          String.format(
              Locale.ROOT,
              "%d,%.9f,%.9f,%d,%d,%d\n",
              i.index(),
              i.start(),
              i.end(),
              i.batch().requests(),
              i.batch().prefillTokens(),
              i.batch().decodes()));
    }
  }

  private static void write(BufferedWriter writer, String line) {
    try {
      writer.write(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    try {
      if (requests != null) {
        requests.close();
      }
    } finally {
      if (iterations != null) {
        iterations.close();
      }
    }
  }
}
