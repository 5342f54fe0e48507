package dev.weir.engine;

import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.StepOptions;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;

/** How to set up an {@link Engine}. Immutable. */
public final class EngineOptions {
  /** So that it can be counted in nanoseconds. */
  private static final Duration LONGEST_TIMEOUT = Duration.ofDays(365);

  private static final Duration DEFAULT_STEP_TIMEOUT_ON_GPU = Duration.ofMinutes(1);

  private final Path model;
  private final DeviceKind device;
  private final int deviceOrdinal;
  private final int threads;
  private final Precision precision;
  private final boolean pinThreads;
  private final boolean deterministic;
  private final boolean graphs;
  private final Precision kvPrecision;
  private final OptionalLong kvBlocks;
  private final OptionalLong kvBytes;
  private final boolean kvRest;
  private final long reserveMemory;
  private final int blockSize;
  private final long swapBlocks;
  private final String scheduler;
  private final Map<String, String> schedulerOptions;
  private final Preemption preemption;
  private final int maxSequences;
  private final int maxBatchTokens;
  private final int queueCapacity;
  private final Duration stepTimeout;
  private final int maxTopLogProbabilities;
  private final boolean randomWeights;
  private final long weightSeed;
  private final int layerLimit;
  private final Optional<Workload> workload;
  private final IterationCost cost;

  private EngineOptions(Builder builder) {
    model = builder.model;
    device = builder.device;
    deviceOrdinal = builder.deviceOrdinal;
    threads = builder.threads;
    precision = builder.precision;
    pinThreads = builder.pinThreads;
    deterministic = builder.deterministic;
    graphs = builder.graphs;
    kvPrecision = builder.kvPrecision;
    kvBlocks = builder.kvBlocks;
    kvBytes = builder.kvBytes;
    kvRest = builder.kvRest;
    reserveMemory = builder.reserveMemory;
    blockSize = builder.blockSize;
    swapBlocks = builder.swapBlocks;
    scheduler = builder.scheduler;
    schedulerOptions = builder.schedulerOptions;
    preemption = builder.preemption;
    maxSequences = builder.maxSequences;
    maxBatchTokens = builder.maxBatchTokens;
    queueCapacity = builder.queueCapacity;
    stepTimeout =
        builder.stepTimeout.orElse(
            device == DeviceKind.CUDA ? DEFAULT_STEP_TIMEOUT_ON_GPU : Duration.ZERO);
    maxTopLogProbabilities = builder.maxTopLogProbabilities;
    randomWeights = builder.randomWeights;
    weightSeed = builder.weightSeed;
    layerLimit = builder.layerLimit;
    workload = builder.workload;
    cost = builder.cost;
  }

  /**
   * @param model a folder with {@code config.json}, {@code *.safetensors} and a tokenizer
   */
  public static Builder builder(Path model) {
    return new Builder(model);
  }

  public Path model() {
    return model;
  }

  public DeviceKind device() {
    return device;
  }

  public int deviceOrdinal() {
    return deviceOrdinal;
  }

  public int threads() {
    return threads;
  }

  public Precision precision() {
    return precision;
  }

  public boolean pinThreads() {
    return pinThreads;
  }

  public boolean deterministic() {
    return deterministic;
  }

  public boolean graphs() {
    return graphs;
  }

  public Precision kvPrecision() {
    return kvPrecision;
  }

  /** The device to open, and how it computes. */
  public DeviceOptions deviceOptions() {
    return new DeviceOptions(
        device, deviceOrdinal, threads, precision, pinThreads, deterministic, graphs);
  }

  /** How to load the model. */
  public ModelOptions modelOptions() {
    return new ModelOptions(randomWeights, weightSeed, layerLimit);
  }

  StepOptions stepOptions() {
    return new StepOptions(maxSequences, maxBatchTokens, maxTopLogProbabilities);
  }

  public OptionalLong kvBlocks() {
    return kvBlocks;
  }

  public OptionalLong kvBytes() {
    return kvBytes;
  }

  public boolean kvRest() {
    return kvRest;
  }

  public long reserveMemory() {
    return reserveMemory;
  }

  public int blockSize() {
    return blockSize;
  }

  public long swapBlocks() {
    return swapBlocks;
  }

  public String scheduler() {
    return scheduler;
  }

  public Map<String, String> schedulerOptions() {
    return schedulerOptions;
  }

  public Preemption preemption() {
    return preemption;
  }

  public int maxSequences() {
    return maxSequences;
  }

  public int maxBatchTokens() {
    return maxBatchTokens;
  }

  public int queueCapacity() {
    return queueCapacity;
  }

  /** Zero for none. */
  public Duration stepTimeout() {
    return stepTimeout;
  }

  public int maxTopLogProbabilities() {
    return maxTopLogProbabilities;
  }

  public boolean randomWeights() {
    return randomWeights;
  }

  public long weightSeed() {
    return weightSeed;
  }

  public int layerLimit() {
    return layerLimit;
  }

  public Optional<Workload> workload() {
    return workload;
  }

  public IterationCost cost() {
    return cost;
  }

  /** Collects {@link EngineOptions}. Not thread-safe. */
  public static final class Builder {
    private final Path model;
    private DeviceKind device = DeviceKind.CPU;
    private int deviceOrdinal;
    private int threads;
    private Precision precision = Precision.DEFAULT;
    private boolean pinThreads;
    private boolean deterministic;
    private boolean graphs = true;
    private Precision kvPrecision = Precision.DEFAULT;
    private OptionalLong kvBlocks = OptionalLong.empty();
    private OptionalLong kvBytes = OptionalLong.empty();
    private boolean kvRest;
    private long reserveMemory = 1L << 30;
    private int blockSize = 16;
    private long swapBlocks;
    private String scheduler = "weir";
    private Map<String, String> schedulerOptions = Map.of();
    private Preemption preemption = Preemption.RECOMPUTE;
    private int maxSequences = 256;
    private int maxBatchTokens = 2048;
    private int queueCapacity = 1024;
    private Optional<Duration> stepTimeout = Optional.empty();
    private int maxTopLogProbabilities = 20;
    private boolean randomWeights;
    private long weightSeed;
    private int layerLimit;
    private Optional<Workload> workload = Optional.empty();
    private IterationCost cost = new IterationCost(1e-3, 1e-6);

    private Builder(Path model) {
      this.model = Objects.requireNonNull(model, "model");
    }

    /** {@link DeviceKind#CPU} by default. */
    public Builder device(DeviceKind device) {
      this.device = Objects.requireNonNull(device, "device");
      return this;
    }

    /** Which device of that kind, from 0. */
    public Builder deviceOrdinal(int deviceOrdinal) {
      this.deviceOrdinal = deviceOrdinal;
      return this;
    }

    /**
     * Operator threads of the CPU; 0, the default, for as many as the process may run on. Engines
     * with 0 share them and take turns, see {@link DeviceOptions}.
     */
    public Builder threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * The numbers to compute with; {@link Precision#DEFAULT} by default, which is bfloat16 where
     * the processor can, and half precision on a GPU. {@link Engine#device()} tells which it is.
     * Greedy tokens of different precisions differ where two tokens are nearly equally likely.
     */
    public Builder precision(Precision precision) {
      this.precision = Objects.requireNonNull(precision, "precision");
      return this;
    }

    /**
     * Whether the operator threads of the CPU each stay on a processor of their own, the first
     * being left to the engine's thread; false by default. For an engine that has the machine to
     * itself.
     */
    public Builder pinThreads(boolean pinThreads) {
      this.pinThreads = pinThreads;
      return this;
    }

    /**
     * Whether the tokens of a request must not depend on what else is in its batch, not even by
     * rounding; false by default. Costs speed, on the CPU in {@link Precision#FP32} much of it.
     */
    public Builder deterministic(boolean deterministic) {
      this.deterministic = deterministic;
      return this;
    }

    /**
     * Whether a GPU replays recorded graphs for iterations that only decode, which takes less time
     * to start them; true by default. Without graphs a profiler shows every kernel by itself.
     */
    public Builder graphs(boolean graphs) {
      this.graphs = graphs;
      return this;
    }

    /**
     * The numbers that keys and values are kept in; {@link Precision#DEFAULT}, those of the model's
     * activations, by default. A GPU has others, see {@link KvCacheOptions#kvPrecision()}.
     */
    public Builder kvPrecision(Precision kvPrecision) {
      this.kvPrecision = Objects.requireNonNull(kvPrecision, "kvPrecision");
      return this;
    }

    /**
     * Size of the KV pool in blocks; takes the place of {@link #kvBytes} and {@link #kvRest}.
     *
     * <p>If none of the three is given, the pool of a GPU is {@link #kvRest}. That of the CPU has
     * room for 64 sequences of the model's full context, but takes at most 4 GiB, and no more than
     * there is.
     */
    public Builder kvBlocks(long kvBlocks) {
      return capacity(OptionalLong.of(kvBlocks), OptionalLong.empty(), false);
    }

    /**
     * Size of the KV pool in bytes, rounded down to whole blocks; takes the place of {@link
     * #kvBlocks} and {@link #kvRest}.
     */
    public Builder kvBytes(long kvBytes) {
      return capacity(OptionalLong.empty(), OptionalLong.of(kvBytes), false);
    }

    /**
     * Gives the KV pool what weights, workspace and graphs leave of the memory that is available on
     * the device when the engine is started, less {@link #reserveMemory}; but not more than {@link
     * #maxSequences} sequences of the model's full context can use. Takes the place of {@link
     * #kvBlocks} and {@link #kvBytes}.
     */
    public Builder kvRest() {
      return capacity(OptionalLong.empty(), OptionalLong.empty(), true);
    }

    private Builder capacity(OptionalLong blocks, OptionalLong bytes, boolean rest) {
      kvBlocks = blocks;
      kvBytes = bytes;
      kvRest = rest;
      return this;
    }

    /** Bytes of the device that {@link #kvRest} leaves to others; 1 GiB by default. */
    public Builder reserveMemory(long reserveMemory) {
      this.reserveMemory = reserveMemory;
      return this;
    }

    /** Tokens a block; 16 by default. */
    public Builder blockSize(int blockSize) {
      this.blockSize = blockSize;
      return this;
    }

    /**
     * Size of the host swap space in blocks; 0, none, by default. {@link Preemption#SWAP} needs
     * some.
     */
    public Builder swapBlocks(long swapBlocks) {
      this.swapBlocks = swapBlocks;
      return this;
    }

    /** The name of a policy that {@link Schedulers#all()} lists; {@code weir} by default. */
    public Builder scheduler(String scheduler) {
      this.scheduler = Objects.requireNonNull(scheduler, "scheduler");
      return this;
    }

    /** Settings of the policy. */
    public Builder schedulerOptions(Map<String, String> schedulerOptions) {
      this.schedulerOptions = Map.copyOf(schedulerOptions);
      return this;
    }

    /** What eviction does with the blocks; {@link Preemption#RECOMPUTE} by default. */
    public Builder preemption(Preemption preemption) {
      this.preemption = Objects.requireNonNull(preemption, "preemption");
      return this;
    }

    /** Sequences in one iteration; 256 by default. */
    public Builder maxSequences(int maxSequences) {
      this.maxSequences = maxSequences;
      return this;
    }

    /** Tokens in one iteration, prefill and decode together; 2048 by default. */
    public Builder maxBatchTokens(int maxBatchTokens) {
      this.maxBatchTokens = maxBatchTokens;
      return this;
    }

    /** Accepted requests that may wait for their first iteration, at least 1; 1024 by default. */
    public Builder queueCapacity(int queueCapacity) {
      this.queueCapacity = queueCapacity;
      return this;
    }

    /**
     * How long one call of the device may take; {@link Duration#ZERO} for as long as it likes. A
     * minute on a GPU by default, which takes a fraction of a second; none on the CPU, which does
     * not hang, but may be slow. After half of that time a warning is logged and {@link
     * EngineStatistics#stalled()} says so; after all of it the engine fails, and every pending
     * request with a {@link StepTimeoutException} as the cause.
     */
    public Builder stepTimeout(Duration stepTimeout) {
      this.stepTimeout = Optional.of(stepTimeout);
      return this;
    }

    /**
     * The most that {@link GenerationRequest#topLogProbabilities()} may ask for, 0..64; 20 by
     * default.
     */
    public Builder maxTopLogProbabilities(int maxTopLogProbabilities) {
      this.maxTopLogProbabilities = maxTopLogProbabilities;
      return this;
    }

    /** Draws the weights from {@code seed}; only {@code config.json} is read. For benchmarks. */
    public Builder randomWeights(long seed) {
      this.randomWeights = true;
      this.weightSeed = seed;
      return this;
    }

    /**
     * Keeps only the first layers of the model, for benchmarks of big shapes; 0, the default, keeps
     * all.
     */
    public Builder layerLimit(int layerLimit) {
      this.layerLimit = layerLimit;
      return this;
    }

    /** What is known of arrivals and lengths, for policies that compute their settings from it. */
    public Builder workload(Workload workload) {
      this.workload = Optional.of(workload);
      return this;
    }

    /**
     * How long an iteration takes, for policies that compute their settings from it. By default 1
     * ms and 1 microsecond for each resident token, which is a guess; measure it for serious use.
     */
    public Builder cost(IterationCost cost) {
      this.cost = Objects.requireNonNull(cost, "cost");
      return this;
    }

    /**
     * @throws IllegalArgumentException if a value can never be right; the message names it. Values
     *     that depend on the model or the device are checked by {@link Engine#start}.
     */
    public EngineOptions build() {
      atLeast("deviceOrdinal", deviceOrdinal, 0);
      atLeast("threads", threads, 0);
      kvBlocks.ifPresent(blocks -> atLeast("kvBlocks", blocks, 1));
      kvBytes.ifPresent(bytes -> atLeast("kvBytes", bytes, 1));
      atLeast("reserveMemory", reserveMemory, 0);
      atLeast("blockSize", blockSize, 1);
      atLeast("swapBlocks", swapBlocks, 0);
      atLeast("maxSequences", maxSequences, 1);
      atLeast("maxBatchTokens", maxBatchTokens, 1);
      atLeast("queueCapacity", queueCapacity, 1);
      if (stepTimeout.isPresent()
          && (stepTimeout.get().isNegative() || stepTimeout.get().compareTo(LONGEST_TIMEOUT) > 0)) {
        throw new IllegalArgumentException(
            "stepTimeout is "
                + stepTimeout.get()
                + ", must be at least 0 (none) and at most "
                + LONGEST_TIMEOUT);
      }
      atLeast("maxTopLogProbabilities", maxTopLogProbabilities, 0);
      atLeast("layerLimit", layerLimit, 0);
      if (preemption == Preemption.SWAP && swapBlocks == 0) {
        throw new IllegalArgumentException(
            "preemption is SWAP and swapBlocks is 0: set swapBlocks to at least 1, or preemption to"
                + " RECOMPUTE");
      }
      return new EngineOptions(this);
    }

    private static void atLeast(String name, long value, long limit) {
      if (value < limit) {
        throw new IllegalArgumentException(name + " is " + value + ", must be at least " + limit);
      }
    }
  }
}
