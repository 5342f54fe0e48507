package dev.weir.simulation;

import dev.weir.scheduling.RequestState;
import dev.weir.timeline.RequestPhase;
import dev.weir.timeline.ServingTimeline;
import dev.weir.timeline.TimelineIteration;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;

/**
 * Writes a simulation as a {@link ServingTimeline}, which Perfetto (ui.perfetto.dev) and
 * chrome://tracing open. Virtual seconds become seconds of the trace.
 */
public final class ChromeTrace implements SimulationListener, Closeable {
  private static final double NANOSECONDS = 1e9;

  private final ServingTimeline timeline;

  /** When the plan was made that listeners are being told about, and its iteration began. */
  private long planned;

  private long now;

  /**
   * Creates or replaces the file.
   *
   * @param blockSize tokens of a KV block
   */
  public ChromeTrace(Path file, int blockSize) throws IOException {
    timeline = new ServingTimeline(file, blockSize);
  }

  private interface Part {
    void write() throws IOException;
  }

  private static void write(Part part) {
    try {
      part.write();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long nanos(double seconds) {
    return Math.round(seconds * NANOSECONDS);
  }

  private void phase(SimulatedRequest request, RequestPhase phase, long time) {
    write(() -> timeline.phase(request.index(), phase, time));
  }

  @Override
  public void arrived(SimulatedRequest request) {
    Arrival arrival = request.arrival();
    write(
        () ->
            timeline.arrived(
                request.index(),
                nanos(arrival.seconds()),
                arrival.promptTokens(),
                (long) arrival.promptTokens() + request.request.maxOutputTokens()));
  }

  @Override
  public void refused(long index, Arrival arrival, String reason) {
    write(() -> timeline.refused(nanos(arrival.seconds()), reason));
  }

  @Override
  public void planned(double time) {
    planned = nanos(time);
  }

  @Override
  public void evicted(SimulatedRequest request) {
    boolean swapped = request.request.state() == RequestState.SWAPPED;
    phase(request, swapped ? RequestPhase.SWAPPED : RequestPhase.EVICTED, planned);
  }

  @Override
  public void resumed(SimulatedRequest request) {
    phase(
        request,
        request.generatedTokens() > 0 ? RequestPhase.DECODE : RequestPhase.PREFILL,
        planned);
  }

  @Override
  public void prefilling(SimulatedRequest request, int tokens) {
    phase(request, RequestPhase.PREFILL, planned);
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    now = nanos(iteration.end());
    BatchShape batch = iteration.batch();
    long start = nanos(iteration.start());
    write(
        () ->
            timeline.iteration(
                new TimelineIteration(
                    iteration.index() + 1,
                    start,
                    now - start,
                    start,
                    0,
                    start,
                    0,
                    batch.decodes(),
                    batch.prefills(),
                    batch.prefillTokens(),
                    iteration.evictions(),
                    iteration.usedBlocks(),
                    iteration.usedBlocks(),
                    timeline.running(),
                    timeline.waiting(),
                    timeline.swapped())));
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    phase(request, RequestPhase.DECODE, now);
  }

  @Override
  public void completed(SimulatedRequest request) {
    write(() -> timeline.ended(request.index(), now, "completed", request.generatedTokens()));
  }

  @Override
  public void close() throws IOException {
    timeline.close();
  }
}
