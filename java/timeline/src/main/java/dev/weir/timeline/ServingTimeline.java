package dev.weir.timeline;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The time line of an engine or a simulation, in a file that Perfetto (ui.perfetto.dev) and
 * chrome://tracing open:
 *
 * <ul>
 *   <li>{@code engine}: a slice for each iteration with what was in its batch, and inside of it how
 *       long the scheduler decided and the model computed; marks for evictions, refusals and ends;
 *       counters of KV blocks, requests and tokens;
 *   <li>{@code requests}: a track for each request with a slice from arrival to end, and in it the
 *       {@link RequestPhase phases} one after the other.
 * </ul>
 *
 * <p>{@code KV blocks used} are taken, and {@code KV blocks at full length} is what the running
 * requests would take if each got all the tokens that it may ask for: above the size of the pool,
 * memory may run out.
 *
 * <p>Events are streamed to the file; only requests that have not ended are remembered. Times are
 * nanoseconds since any origin; those of a request must not go back. Not thread-safe.
 */
public final class ServingTimeline implements Closeable {
  private static final int ENGINE = 1;
  private static final int REQUESTS = 2;
  private static final int ITERATIONS = 1;
  private static final int EVENTS = 2;

  private static final class OpenRequest {
    RequestPhase phase;
    long blocks;
    int evictions;
  }

  /** Written only where it changes; in between a counter keeps its value. */
  private static final class Counter {
    final String name;
    final String unit;
    long value = -1;

    Counter(String name, String unit) {
      this.name = name;
      this.unit = unit;
    }
  }

  private final Counter decodeTokens = new Counter("decode tokens", "tokens");
  private final Counter prefillTokens = new Counter("prefill tokens", "tokens");
  private final Counter usedBlocks = new Counter("KV blocks used", "blocks");
  private final Counter blocksAtFullLength = new Counter("KV blocks at full length", "blocks");
  private final Counter requestsRunning = new Counter("requests running", "requests");
  private final Counter requestsWaiting = new Counter("requests waiting", "requests");
  private final Counter requestsSwapped = new Counter("requests swapped", "requests");

  private final TraceEventWriter events;
  private final int blockSize;
  private final Map<Long, OpenRequest> open = new LinkedHashMap<>();
  private int running;
  private int swapped;

  /** Blocks that the running requests would take at their longest. */
  private long fullLengthBlocks;

  private long lastTime;

  /**
   * Creates or replaces the file.
   *
   * @param blockSize tokens of a KV block
   */
  public ServingTimeline(Path file, int blockSize) throws IOException {
    events = new TraceEventWriter(file);
    this.blockSize = blockSize;
    events.nameProcess(ENGINE, "engine");
    events.nameTrack(ENGINE, ITERATIONS, "iterations");
    events.nameTrack(ENGINE, EVENTS, "events");
    events.nameProcess(REQUESTS, "requests");
  }

  /**
   * A request arrived and waits.
   *
   * @param longest tokens of its prompt and of the longest output that it may get
   */
  public void arrived(long request, long time, int promptTokens, long longest) throws IOException {
    if (!open.containsKey(request)) {
      OpenRequest opened = open(request, time);
      opened.blocks = Math.ceilDiv(longest, blockSize);
      events.arg("prompt tokens", promptTokens).arg("longest", longest).done();
      phase(request, RequestPhase.WAITING, time);
    }
  }

  /** Leaves the event unfinished, so that arguments can follow. */
  private OpenRequest open(long request, long time) throws IOException {
    OpenRequest opened = new OpenRequest();
    open.put(request, opened);
    events.nameTrack(REQUESTS, track(request), "request " + request);
    events.begin("request " + request, REQUESTS, track(request), note(time));
    return opened;
  }

  /**
   * A request goes into a phase. Nothing happens if it is in this phase already; one that is not
   * known begins here. A {@link RequestPhase#PREFILL} after an eviction is a {@link
   * RequestPhase#RECOMPUTE}.
   */
  public void phase(long request, RequestPhase wanted, long time) throws IOException {
    OpenRequest known = open.get(request);
    if (known == null) {
      known = open(request, time);
      events.done();
    }
    boolean again =
        wanted == RequestPhase.PREFILL
            && (known.phase == RequestPhase.EVICTED || known.phase == RequestPhase.RECOMPUTE);
    RequestPhase phase = again ? RequestPhase.RECOMPUTE : wanted;
    if (known.phase == phase) {
      return;
    }
    endPhase(known, request, time);
    known.phase = phase;
    if (phase.resident()) {
      running++;
      fullLengthBlocks += known.blocks;
    } else if (phase == RequestPhase.SWAPPED) {
      swapped++;
    }
    events.begin(phase.label(), REQUESTS, track(request), note(time)).done();
    if (phase == RequestPhase.EVICTED || phase == RequestPhase.SWAPPED) {
      known.evictions++;
      mark(phase.label(), request, time).done();
    }
  }

  private void endPhase(OpenRequest known, long request, long time) throws IOException {
    if (known.phase != null) {
      events.end(known.phase.label(), REQUESTS, track(request), note(time)).done();
      if (known.phase.resident()) {
        running--;
        fullLengthBlocks -= known.blocks;
      } else if (known.phase == RequestPhase.SWAPPED) {
        swapped--;
      }
      known.phase = null;
    }
  }

  /**
   * A request ended. One that is not known leaves a mark only.
   *
   * @param outcome how, in a word or two
   */
  public void ended(long request, long time, String outcome, int outputTokens) throws IOException {
    mark(outcome, request, time).done();
    OpenRequest known = open.remove(request);
    if (known != null) {
      endPhase(known, request, time);
      events
          .end("request " + request, REQUESTS, track(request), time)
          .arg("outcome", outcome)
          .arg("output tokens", outputTokens)
          .arg("evictions", known.evictions)
          .done();
    }
  }

  /** A request was refused. */
  public void refused(long time, String reason) throws IOException {
    events.instant("refused", ENGINE, EVENTS, note(time)).arg("reason", reason).done();
  }

  /** Something that the time line does not show. */
  public void remark(long time, String text) throws IOException {
    events.instant(text, ENGINE, EVENTS, note(time)).done();
  }

  private TraceEventWriter mark(String name, long request, long time) throws IOException {
    return events.instant(name, ENGINE, EVENTS, note(time)).arg("request", request);
  }

  /**
   * An iteration has run. Its evictions and the first tokens that it gave are told by {@link
   * #phase} before, as counters are those of its end.
   */
  public void iteration(TimelineIteration iteration) throws IOException {
    long start = iteration.start();
    long end = note(start + iteration.duration());
    events
        .slice("iteration", ENGINE, ITERATIONS, start, iteration.duration())
        .arg("number", iteration.number())
        .arg("decoding", iteration.decodes())
        .arg("prefilling", iteration.prefills())
        .arg("prefill tokens", iteration.prefillTokens())
        .arg("evictions", iteration.evictions())
        .done();
    if (iteration.planDuration() > 0) {
      events
          .slice("schedule", ENGINE, ITERATIONS, iteration.planStart(), iteration.planDuration())
          .done();
    }
    if (iteration.stepDuration() > 0) {
      events
          .slice("step", ENGINE, ITERATIONS, iteration.stepStart(), iteration.stepDuration())
          .done();
    }
    count(decodeTokens, start, iteration.decodes());
    count(prefillTokens, start, iteration.prefillTokens());
    count(usedBlocks, start, iteration.usedBlocks());
    count(usedBlocks, end, iteration.usedBlocksAfter());
    count(blocksAtFullLength, end, fullLengthBlocks);
    count(requestsRunning, end, iteration.running());
    count(requestsWaiting, end, iteration.waiting());
    count(requestsSwapped, end, iteration.swapped());
  }

  private void count(Counter counter, long time, long value) throws IOException {
    if (value != counter.value) {
      counter.value = value;
      events.counter(counter.name, ENGINE, time).arg(counter.unit, value).done();
    }
  }

  /** Track 0 means the idle thread to some readers. */
  private static long track(long request) {
    return request + 1;
  }

  private long note(long time) {
    lastTime = Math.max(lastTime, time);
    return time;
  }

  /** Requests that have not ended and hold KV blocks, as their phases say. */
  public int running() {
    return running;
  }

  /** Requests that have not ended and hold none. */
  public int waiting() {
    return open.size() - running - swapped;
  }

  /** Requests in the swap space. */
  public int swapped() {
    return swapped;
  }

  /** Writes out what is buffered. */
  public void flush() throws IOException {
    events.flush();
  }

  /** Ends the slices of requests that have not ended, and closes the file. */
  @Override
  public void close() throws IOException {
    try (events) {
      for (Long request : open.keySet().toArray(Long[]::new)) {
        ended(request, lastTime, "not ended", 0);
      }
    }
  }
}
