package dev.weir.engine;

import dev.weir.engine.tokenizer.MalformedTextException;
import dev.weir.engine.tokenizer.StreamingDecoder;
import dev.weir.engine.tokenizer.Tokenizer;
import dev.weir.engine.tokenizer.TokenizerException;
import dev.weir.engine.tokenizer.Tokenizers;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.InvalidArgumentException;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.LoadProgress;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Step;
import dev.weir.runtime.WeirException;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Serves one model: takes requests from any thread, batches them continuously over a paged KV cache
 * as a {@link Scheduler} decides, and streams the tokens back.
 *
 * <pre>{@code
 * EngineOptions options = EngineOptions.builder(Path.of("models/stories260K")).build();
 * GenerationRequest request = GenerationRequest.builder("Once upon a time").build();
 * try (Engine engine = Engine.start(options)) {
 *   for (GeneratedToken token : engine.submit(request)) {
 *     System.out.print(token.text());
 *   }
 * }
 * }</pre>
 *
 * <p>One platform thread owns the device, the model and the cache. It never waits for a reader, and
 * readers' code never runs on it. An iteration that runs out of memory fails only its own requests,
 * and a request whose logits are not finite fails alone; any other error ends the engine: every
 * pending request is completed exceptionally and later ones are refused. So does a device that does
 * not return from an iteration, see {@link EngineOptions#stepTimeout()}.
 *
 * <p>Every method may be called from any thread.
 */
public final class Engine implements AutoCloseable {
  /**
   * Longer deadlines, in nanoseconds (73 years), are none; keeps sums of times from overflowing.
   */
  private static final long LONGEST_DEADLINE_NANOS = Long.MAX_VALUE / 4;

  private static final Executor DELIVERY =
      task -> Thread.ofVirtual().name("weir-delivery").start(task);

  private final EngineOptions options;
  private final Optional<Tokenizer> tokenizer;
  private final DeviceInfo device;
  private final ModelInfo model;
  private final KvCapacity memory;
  private final long startNanos;
  private final Mailbox mailbox;
  private final Counters counters = new Counters();
  private final Listeners listeners = new Listeners();
  private final AtomicLong nextId = new AtomicLong();
  private final EngineLoop loop;
  private final Thread thread;
  private final Optional<GpuSampler> gpu;

  private Engine(
      EngineOptions options,
      Optional<Tokenizer> tokenizer,
      Model model,
      KvCache cache,
      Step step,
      Optional<GpuSampler> gpu,
      Runnable releaseResources) {
    this.options = options;
    this.tokenizer = tokenizer;
    this.gpu = gpu;
    this.device = model.device().info();
    this.model = model.info();
    KvCacheStatistics kv = cache.statistics();
    memory = new KvCapacity(kv.capacity(), kv.blockSize(), kv.swapCapacity());
    BatchLimits limits = new BatchLimits(options.maxSequences(), options.maxBatchTokens());
    Scheduler scheduler =
        Schedulers.create(
            options.scheduler(),
            new SchedulerConfig(
                memory,
                limits,
                options.preemption(),
                options.cost(),
                options.workload(),
                SchedulerOptions.of(options.schedulerOptions())));
    mailbox = new Mailbox(options.queueCapacity());
    startNanos = System.nanoTime();
    loop =
        new EngineLoop(
            mailbox,
            counters,
            scheduler,
            new IterationPlan(memory, limits, options.preemption()),
            cache,
            step,
            Step::run,
            options.stepTimeout(),
            releaseResources,
            listeners,
            this.model,
            startNanos);
    thread = Thread.ofPlatform().name("weir-engine").daemon(true).unstarted(loop);
  }

  /**
   * Loads the model and starts serving it.
   *
   * @throws WeirException if the device does not compute as asked for, the model cannot be loaded
   *     or memory does not suffice; its subclass says which
   * @throws TokenizerException if the model folder has a tokenizer that cannot be used. A folder
   *     without one is fine for requests by token ids
   * @throws IllegalArgumentException if an option is wrong for this model, device or scheduler
   */
  public static Engine start(EngineOptions options) {
    return start(options, new LoadProgress());
  }

  /**
   * As {@link #start(EngineOptions)}.
   *
   * @param progress tells other threads how far loading has come
   */
  public static Engine start(EngineOptions options, LoadProgress progress) {
    ArrayDeque<AutoCloseable> opened = new ArrayDeque<>();
    boolean started = false;
    try {
      Optional<Tokenizer> tokenizer = Tokenizers.find(options.model());
      tokenizer.ifPresent(opened::push);
      Device device = Device.open(options.deviceOptions());
      opened.push(device);
      MemoryPlan plan = EngineMemory.plan(options, device);
      EngineMemory.checkFits(options, plan);
      Model model = Model.load(device, options.model(), options.modelOptions(), progress);
      opened.push(model);
      KvCache cache = KvCache.create(model, EngineMemory.cache(options, plan));
      opened.push(cache);
      Step step = Step.create(cache, options.stepOptions());
      opened.push(step);
      Optional<GpuSampler> gpu =
          options.device() == DeviceKind.CUDA
              ? Optional.of(GpuSampler.start(device.info().pciBusId()))
              : Optional.empty();
      gpu.ifPresent(opened::push);
      Engine engine =
          new Engine(options, tokenizer, model, cache, step, gpu, () -> closeAll(opened));
      engine.thread.start();
      started = true;
      return engine;
    } finally {
      if (!started) {
        closeAll(opened);
      }
    }
  }

  /**
   * What an engine with these options would take of its device, without taking it. The plan may be
   * larger than the device, see {@link #checkFits}.
   *
   * @throws WeirException if the device does not compute as asked for, or the model cannot be read
   * @throws IllegalArgumentException if an option is wrong for this model or device
   */
  public static MemoryPlan planMemory(EngineOptions options) {
    try (Device device = Device.open(options.deviceOptions())) {
      return EngineMemory.plan(options, device);
    }
  }

  /**
   * What {@link #start} checks before it loads anything.
   *
   * @throws DeviceMemoryException if the plan does not fit into the device; the message has the
   *     whole budget and names the settings to turn
   */
  public static void checkFits(EngineOptions options, MemoryPlan plan) {
    EngineMemory.checkFits(options, plan);
  }

  private static void closeAll(ArrayDeque<AutoCloseable> opened) {
    RuntimeException first = null;
    for (AutoCloseable resource = opened.poll(); resource != null; resource = opened.poll()) {
      try {
        resource.close();
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      } catch (Exception e) {
        throw new AssertionError(
            "device, model, cache, step and tokenizer throw nothing checked", e);
      }
    }
    if (first != null) {
      throw first;
    }
  }

  /**
   * Accepts a request, or refuses it at once. Nothing of the device is touched for a request that
   * is refused.
   *
   * <p>Refused is: a full queue, an empty prompt, token ids outside of the vocabulary, parameters
   * out of range, and a request whose prompt and largest output together exceed the model's context
   * or the KV pool; such a one is never clipped. See {@link RejectionReason}.
   *
   * @throws RejectedRequestException if the request is refused
   * @throws TokenizerException if the native tokenizer fails on a text prompt; the request is not
   *     accepted then
   */
  public Generation submit(GenerationRequest request) {
    Objects.requireNonNull(request, "request");
    try {
      Generation generation = accept(request);
      counters.accepted.increment();
      return generation;
    } catch (RejectedRequestException e) {
      counters.rejected(e.reason());
      if (!listeners.isEmpty()) {
        double time = (System.nanoTime() - startNanos) * 1e-9;
        listeners.tell(listener -> listener.refused(time, e.reason()));
      }
      throw e;
    }
  }

  private Generation accept(GenerationRequest request) {
    long submittedNanos = System.nanoTime();
    checkParameters(request);
    Sampling sampling = sampling(request);
    mailbox.checkAccepting();
    int[] prompt = prompt(request);
    int maxTokens = maxTokens(request, prompt.length);
    long deadlineNanos = deadlineNanos(request);
    StreamingDecoder decoder = decoder(request, prompt);

    long id = nextId.getAndIncrement();
    Generation generation =
        new Generation(id, prompt, decoder.vocabulary(), mailbox::cancel, DELIVERY);
    mailbox.submit(
        new ActiveRequest(
            generation,
            new Request(
                id,
                (submittedNanos - startNanos) * 1e-9,
                prompt.length,
                maxTokens,
                request.knownOutputTokens().orElse(Request.UNKNOWN)),
            prompt,
            sampling,
            request.ignoreEos(),
            new TextStream(decoder, request.stop()),
            submittedNanos,
            deadlineNanos));
    return generation;
  }

  private void checkParameters(GenerationRequest request) {
    if (request.maxTokens().isPresent() && request.maxTokens().getAsInt() < 1) {
      throw invalid("maxTokens is " + request.maxTokens().getAsInt() + ", must be at least 1");
    }
    if (request.topLogProbabilities() > options.maxTopLogProbabilities()) {
      throw invalid(
          "topLogProbabilities is %d, this engine reports at most %d (maxTopLogProbabilities)"
              .formatted(request.topLogProbabilities(), options.maxTopLogProbabilities()));
    }
    if (request.topK() > model.vocabularySize()) {
      throw invalid(
          "topK is %d, the vocabulary has %d tokens"
              .formatted(request.topK(), model.vocabularySize()));
    }
    if (request.knownOutputTokens().isPresent() && request.knownOutputTokens().getAsInt() < 1) {
      throw invalid(
          "knownOutputTokens is "
              + request.knownOutputTokens().getAsInt()
              + ", must be at least 1");
    }
    if (request.stop().size() > GenerationRequest.MAX_STOP_STRINGS) {
      throw invalid(
          "%d stop strings, at most %d are allowed"
              .formatted(request.stop().size(), GenerationRequest.MAX_STOP_STRINGS));
    }
    for (String stop : request.stop()) {
      if (stop.isEmpty() || stop.length() > GenerationRequest.MAX_STOP_LENGTH) {
        throw invalid(
            "a stop string has %d characters, must have 1..%d"
                .formatted(stop.length(), GenerationRequest.MAX_STOP_LENGTH));
      }
    }
    if (request.deadline().isPresent() && !request.deadline().get().isPositive()) {
      throw invalid("deadline is " + request.deadline().get() + ", must be positive");
    }
  }

  private static Sampling sampling(GenerationRequest request) {
    try {
      return new Sampling(
          request.temperature(),
          request.topK(),
          request.topP(),
          request.repetitionPenalty(),
          request.seed().orElseGet(() -> ThreadLocalRandom.current().nextLong()),
          request.topLogProbabilities());
    } catch (InvalidArgumentException e) {
      throw new RejectedRequestException(RejectionReason.INVALID_PARAMETER, e.getMessage(), e);
    }
  }

  private int[] prompt(GenerationRequest request) {
    int[] prompt;
    if (request.text().isPresent()) {
      prompt = encode(tokenizerFor("a text prompt"), request.text().get());
    } else {
      prompt = request.ids().orElseThrow();
    }
    if (prompt.length == 0) {
      throw new RejectedRequestException(RejectionReason.EMPTY_PROMPT, "the prompt has no token");
    }
    for (int i = 0; i < prompt.length; i++) {
      if (prompt[i] < 0 || prompt[i] >= model.vocabularySize()) {
        throw new RejectedRequestException(
            RejectionReason.INVALID_TOKEN,
            "token %d of the prompt is %d, must be in 0..%d"
                .formatted(i, prompt[i], model.vocabularySize() - 1));
      }
    }
    return prompt;
  }

  private int[] encode(Tokenizer tokenizer, String text) {
    long longest = (long) model.contextLength() * tokenizer.longestToken();
    if (text.length() > longest) {
      throw new RejectedRequestException(
          RejectionReason.EXCEEDS_CONTEXT,
          "the prompt has %1$d characters; the %2$d tokens of the model's context hold at most %3$d"
              .formatted(text.length(), model.contextLength(), longest));
    }
    try {
      return tokenizer.encode(text);
    } catch (MalformedTextException e) {
      throw new RejectedRequestException(RejectionReason.MALFORMED_TEXT, e.getMessage(), e);
    } catch (TokenizerException e) {
      mailbox.checkAccepting(); // the tokenizer is closed with the engine
      throw e;
    }
  }

  private int maxTokens(GenerationRequest request, int promptTokens) {
    int room = model.contextLength() - promptTokens;
    if (room < 1) {
      throw new RejectedRequestException(
          RejectionReason.EXCEEDS_CONTEXT,
          "the prompt has %d tokens and leaves no room for output; the model's context length is %d"
              .formatted(promptTokens, model.contextLength()));
    }
    int maxTokens = request.maxTokens().orElse(room);
    if (maxTokens > room) {
      throw new RejectedRequestException(
          RejectionReason.EXCEEDS_CONTEXT,
          "the prompt has %d tokens and maxTokens is %d; the model's context has room for %d"
              .formatted(promptTokens, maxTokens, model.contextLength()));
    }
    long total = (long) promptTokens + maxTokens;
    if (total > memory.tokens()) {
      throw new RejectedRequestException(
          RejectionReason.EXCEEDS_KV_CAPACITY,
          "the prompt has %d tokens and maxTokens is %d; the pool holds %d (kvBlocks, kvBytes)"
              .formatted(promptTokens, maxTokens, memory.tokens()));
    }
    return maxTokens;
  }

  private static long deadlineNanos(GenerationRequest request) {
    if (request.deadline().isEmpty()
        || request.deadline().get().compareTo(Duration.ofNanos(LONGEST_DEADLINE_NANOS)) > 0) {
      return ActiveRequest.NO_DEADLINE;
    }
    return request.deadline().get().toNanos();
  }

  private StreamingDecoder decoder(GenerationRequest request, int[] prompt) {
    if (!request.stop().isEmpty()) {
      return tokenizerFor("a stop string").decoder(prompt);
    }
    return tokenizer.map(present -> present.decoder(prompt)).orElseGet(StreamingDecoder::silent);
  }

  private Tokenizer tokenizerFor(String purpose) {
    return tokenizer.orElseThrow(
        () ->
            new RejectedRequestException(
                RejectionReason.NO_TOKENIZER,
                "%s needs a tokenizer, and %s has none".formatted(purpose, options.model())));
  }

  private static RejectedRequestException invalid(String message) {
    return new RejectedRequestException(RejectionReason.INVALID_PARAMETER, message);
  }

  /**
   * Whether the model folder has a tokenizer. Without one, requests are by ids and generated text
   * is empty.
   */
  public boolean hasTokenizer() {
    return tokenizer.isPresent();
  }

  /**
   * The model's tokenizer. It is closed with the engine.
   *
   * @throws TokenizerException if the model folder has none
   */
  public Tokenizer tokenizer() {
    return tokenizer.orElseThrow(
        () -> new TokenizerException(options.model() + " has no tokenizer"));
  }

  public EngineOptions options() {
    return options;
  }

  public ModelInfo model() {
    return model;
  }

  /** The device as it was when the engine was started. */
  public DeviceInfo device() {
    return device;
  }

  /** Size of the KV pool. */
  public KvCapacity memory() {
    return memory;
  }

  public EngineState state() {
    return mailbox.state();
  }

  /** Does not wait for the engine; may be called at any time, also after closing. */
  public EngineStatistics statistics() {
    long lastStep = counters.lastStepNanoTime.get();
    // In this order: the start that is read belongs to a step that ran at that moment, or a later.
    boolean stepRunning = counters.stepRunning;
    long stepStart = counters.stepStartNanoTime;
    return new EngineStatistics(
        mailbox.state(),
        (System.nanoTime() - startNanos) * 1e-9,
        counters.accepted.sum(),
        counters.rejected(),
        counters.finished(),
        counters.failed.sum(),
        counters.running,
        counters.waiting,
        counters.swapped,
        counters.promptTokens.sum(),
        counters.generatedTokens.sum(),
        counters.evictions.sum(),
        counters.swapEvictions.sum(),
        counters.recomputedTokens.sum(),
        counters.iterations.sum(),
        counters.failedIterations.sum(),
        lastStep == 0 ? OptionalLong.empty() : OptionalLong.of(lastStep),
        stepRunning ? OptionalLong.of(stepStart) : OptionalLong.empty(),
        loop.stalled(),
        gpu.flatMap(GpuSampler::latest),
        loop.statistics());
  }

  /**
   * Why {@link EngineStatistics#gpu()} is empty although the engine computes on a GPU; empty if it
   * is not, or not yet. The message says what is missing. The engine itself does without.
   */
  public Optional<String> gpuMonitorProblem() {
    return gpu.flatMap(GpuSampler::problem);
  }

  /** Has {@code listener} told of every iteration and request from now on. */
  public void addListener(EngineListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
  }

  public void removeListener(EngineListener listener) {
    listeners.remove(listener);
  }

  /** Cancels what is under way and closes, see {@link #close(CloseMode, Duration)}. */
  @Override
  public void close() {
    close(CloseMode.CANCEL, Duration.ZERO);
  }

  /**
   * Accepts nothing more, ends the requests that were accepted as {@code mode} says, and releases
   * device, model and tokenizer. Returns when that is done; a step that is under way is waited for,
   * but not longer than {@link EngineOptions#stepTimeout()}. Closing again, from whatever thread,
   * waits for the same end; the earliest deadline counts. On the engine's own thread (a listener)
   * it does not wait.
   *
   * @param deadline for {@link CloseMode#DRAIN}, how long requests may take to complete; not looked
   *     at otherwise
   */
  public void close(CloseMode mode, Duration deadline) {
    long nanos =
        switch (mode) {
          case CANCEL -> 0;
          case DRAIN ->
              deadline.compareTo(Duration.ofNanos(LONGEST_DEADLINE_NANOS)) > 0
                  ? LONGEST_DEADLINE_NANOS
                  : Math.max(0, deadline.toNanos());
        };
    mailbox.close(System.nanoTime() + nanos);
    if (Thread.currentThread() != thread) {
      awaitEnd();
    }
  }

  private void awaitEnd() {
    boolean interrupted = false;
    boolean waiting = true;
    while (waiting) {
      try {
        loop.awaitEnd();
        waiting = false;
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
