package dev.weir.engine;

import dev.weir.timeline.RequestPhase;
import dev.weir.timeline.ServingTimeline;
import dev.weir.timeline.TimelineIteration;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * Records what an {@link Engine} does as a time line that Perfetto (ui.perfetto.dev) and
 * chrome://tracing open; {@link ServingTimeline} says what is in it.
 *
 * <pre>{@code
 * Engine engine = Engine.start(options);
 * try (EngineTimeline timeline = EngineTimeline.record(engine, Path.of("engine.json")); engine) {
 *   ...
 * } // closes the engine, and then the time line
 * }</pre>
 *
 * <p>The engine's thread only copies numbers into buffers that were allocated before, and allocates
 * nothing itself in a steady state; another thread writes the file. If the disk is so slow that all
 * buffers are full, events are left out rather than the engine held up: {@link #lostEvents} counts
 * them, and a mark in the time line says where.
 *
 * <p>Begin it before requests are submitted and close it after the engine, or requests appear that
 * have no beginning or no end. Safe for use by many threads.
 */
public final class EngineTimeline implements EngineListener, Closeable {
  /** 2 MiB: some 14,000 iterations. */
  private static final int BUFFERS = 32;

  private static final int BUFFER_LONGS = 1 << 13;
  private static final double NANOS = 1e9;

  /** A buffer is handed over when it is this old, if there is an event to do it. */
  private static final long PATIENCE_NANOS = 200_000_000;

  // The first number of an event: its kind. SIZES has how many numbers each kind has altogether.
  private static final int ITERATION = 0;
  private static final int ARRIVED = 1;
  private static final int PHASE = 2;
  private static final int ENDED = 3;
  private static final int REFUSED = 4;
  private static final int LOST = 5;
  private static final int[] SIZES = {18, 5, 4, 5, 3, 3};

  private static final RequestPhase[] PHASES = RequestPhase.values();
  private static final FinishReason[] FINISH_REASONS = FinishReason.values();
  private static final RejectionReason[] REJECTION_REASONS = RejectionReason.values();
  private static final int FAILED = -1;

  private static final class Buffer {
    final long[] numbers = new long[BUFFER_LONGS];
    int size;
    long since;
    boolean last;
  }

  private final Engine engine;
  private final ServingTimeline timeline;
  private final ArrayBlockingQueue<Buffer> empty;
  private final ArrayBlockingQueue<Buffer> full;
  private final Thread writer;

  // Guarded by this.
  private Buffer current;
  private long lost;
  private long lostAndReported;
  private boolean closed;

  /** Written by the writer, read when it has ended. */
  private Exception failure;

  private EngineTimeline(Engine engine, ServingTimeline timeline, int buffers) {
    this.engine = engine;
    this.timeline = timeline;
    empty = new ArrayBlockingQueue<>(buffers + 1); // the last buffer may be one more
    full = new ArrayBlockingQueue<>(buffers + 1);
    for (int i = 1; i < buffers; i++) {
      empty.add(new Buffer());
    }
    current = new Buffer();
    writer = Thread.ofPlatform().name("weir-timeline").daemon(true).unstarted(this::write);
  }

  /**
   * Begins to record.
   *
   * @param file is created or replaced
   * @throws IOException if it cannot be
   */
  public static EngineTimeline record(Engine engine, Path file) throws IOException {
    return record(engine, file, BUFFERS);
  }

  /**
   * @param buffers what may wait for the disk, in buffers of 64 KiB
   */
  static EngineTimeline record(Engine engine, Path file, int buffers) throws IOException {
    EngineTimeline recorder =
        new EngineTimeline(engine, new ServingTimeline(file, engine.memory().blockSize()), buffers);
    recorder.writer.start();
    engine.addListener(recorder);
    return recorder;
  }

  // ---- on the engine's thread, and of refused on others

  @Override
  public synchronized void arrived(RequestArrival arrival) {
    long time = nanos(arrival.time());
    if (begin(ARRIVED, time)) {
      put(arrival.request());
      put(arrival.promptTokens());
      put((long) arrival.promptTokens() + arrival.maxTokens());
    }
  }

  @Override
  public synchronized void ended(RequestEnd end) {
    if (begin(ENDED, nanos(end.time()))) {
      put(end.request());
      put(end.reason().isPresent() ? end.reason().get().ordinal() : FAILED);
      put(end.outputTokens());
    }
  }

  @Override
  public synchronized void refused(double time, RejectionReason reason) {
    if (begin(REFUSED, nanos(time))) {
      put(reason.ordinal());
    }
  }

  @Override
  public synchronized void iteration(IterationEvent event) {
    long start = nanos(event.time());
    long stepEnd = nanos(event.stepTime() + event.stepSeconds());
    for (int i = 0; i < event.resumptions(); i++) {
      phase(event.resumedRequest(i), RequestPhase.DECODE, start);
    }
    for (int i = 0; i < event.evictions(); i++) {
      phase(
          event.evictedRequest(i),
          event.evictedToSwap(i) ? RequestPhase.SWAPPED : RequestPhase.EVICTED,
          start);
    }
    int prefills = 0;
    int prefillTokens = 0;
    for (int i = 0; i < event.sequences(); i++) {
      if (!event.sequenceDecoded(i)) {
        prefills++;
        prefillTokens += event.sequenceTokens(i);
        phase(event.sequenceRequest(i), RequestPhase.PREFILL, start);
        if (event.sequenceSampled(i)) {
          phase(event.sequenceRequest(i), RequestPhase.DECODE, stepEnd);
        }
      }
    }
    if (begin(ITERATION, start)) {
      put(event.iteration());
      put(nanos(event.seconds()));
      put(nanos(event.planTime()));
      put(nanos(event.planSeconds()));
      put(nanos(event.stepTime()));
      put(nanos(event.stepSeconds()));
      put(event.sequences() - prefills);
      put(prefills);
      put(prefillTokens);
      put(event.evictions());
      put(event.peakUsedBlocks());
      put(event.usedBlocks());
      put(event.running());
      put(event.waiting());
      put(event.swapped());
      put(event.failed() ? 1 : 0);
    }
  }

  private static long nanos(double seconds) {
    return Math.round(seconds * NANOS);
  }

  private void phase(long request, RequestPhase phase, long time) {
    if (begin(PHASE, time)) {
      put(request);
      put(phase.ordinal());
    }
  }

  /** Whether there is room for an event; its numbers follow. */
  private boolean begin(int kind, long time) {
    if (closed) {
      return false;
    }
    if (current != null && current.size > 0) {
      boolean fits = current.size + SIZES[LOST] + SIZES[kind] <= BUFFER_LONGS;
      if (!fits || time - current.since > PATIENCE_NANOS) {
        full.add(current);
        current = null;
      }
    }
    if (current == null) {
      current = empty.poll();
      if (current == null) {
        lost++;
        return false;
      }
    }
    if (current.size == 0) {
      current.since = time;
    }
    if (lost > lostAndReported) {
      put(LOST);
      put(time);
      put(lost - lostAndReported);
      lostAndReported = lost;
    }
    put(kind);
    put(time);
    return true;
  }

  private void put(long number) {
    current.numbers[current.size++] = number;
  }

  // ---- on the writer's thread

  private void write() {
    boolean more = true;
    try (timeline) {
      while (more) {
        Buffer buffer = take();
        more = !buffer.last;
        write(buffer);
        if (full.isEmpty()) {
          timeline.flush();
        }
        buffer.size = 0;
        empty.add(buffer);
      }
    } catch (IOException | RuntimeException e) {
      failure = e;
    }
    while (more) { // so that nobody waits for a buffer
      Buffer buffer = take();
      more = !buffer.last;
      buffer.size = 0;
      empty.add(buffer);
    }
  }

  private Buffer take() {
    while (true) {
      try {
        return full.take();
      } catch (InterruptedException _) {
        // Nobody has a reason to interrupt this thread; the last buffer ends it.
      }
    }
  }

  private void write(Buffer buffer) throws IOException {
    long[] n = buffer.numbers;
    int i = 0;
    while (i < buffer.size) {
      int kind = (int) n[i];
      long time = n[i + 1];
      switch (kind) {
        case ITERATION -> writeIteration(n, i);
        case ARRIVED -> timeline.arrived(n[i + 2], time, (int) n[i + 3], n[i + 4]);
        case PHASE -> timeline.phase(n[i + 2], PHASES[(int) n[i + 3]], time);
        case ENDED -> timeline.ended(n[i + 2], time, outcome((int) n[i + 3]), (int) n[i + 4]);
        case REFUSED -> timeline.refused(time, name(REJECTION_REASONS[(int) n[i + 2]]));
        case LOST -> timeline.remark(time, n[i + 2] + " events are missing here");
        default -> throw new IllegalStateException("event " + kind);
      }
      i += SIZES[kind];
    }
  }

  private void writeIteration(long[] n, int i) throws IOException {
    long start = n[i + 1];
    timeline.iteration(
        new TimelineIteration(
            n[i + 2],
            start,
            n[i + 3],
            n[i + 4],
            n[i + 5],
            n[i + 6],
            n[i + 7],
            (int) n[i + 8],
            (int) n[i + 9],
            (int) n[i + 10],
            (int) n[i + 11],
            n[i + 12],
            n[i + 13],
            (int) n[i + 14],
            (int) n[i + 15],
            (int) n[i + 16]));
    if (n[i + 17] != 0) {
      timeline.remark(start + n[i + 3], "iteration failed");
    }
  }

  private static String outcome(int reason) {
    return reason == FAILED ? "failed" : name(FINISH_REASONS[reason]);
  }

  private static String name(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  // ---- on any thread

  /** Events that were left out so far because the file could not be written fast enough. */
  public synchronized long lostEvents() {
    return lost;
  }

  /**
   * Ends the recording and the file. Requests that have not ended get an end here.
   *
   * @throws IOException if the file could not be written completely
   */
  @Override
  public void close() throws IOException {
    engine.removeListener(this);
    Buffer last = null;
    boolean interrupted = false;
    synchronized (this) {
      if (!closed) {
        closed = true;
        last = current == null ? new Buffer() : current;
        last.last = true;
      }
    }
    if (last != null) {
      full.add(last);
    }
    while (writer.isAlive()) {
      try {
        writer.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (failure != null) {
      throw new IOException("the time line could not be written: " + failure.getMessage(), failure);
    }
  }
}
