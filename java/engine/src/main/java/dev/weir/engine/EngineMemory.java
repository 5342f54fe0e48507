package dev.weir.engine;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import java.util.Locale;

/** What an engine takes of its device, accounted for before it is taken. */
final class EngineMemory {
  /** Sequences with full contexts for which the CPU has room by default. */
  private static final int DEFAULT_CONTEXTS = 64;

  /** A process on the CPU shares the memory with everything else on the machine. */
  private static final long LARGEST_DEFAULT_ON_CPU = 4L << 30;

  private EngineMemory() {}

  /**
   * The budget of an engine with these options. Says nothing about whether it fits, see {@link
   * #checkFits}.
   */
  static MemoryPlan plan(EngineOptions options, Device device) {
    MemoryPlan plan =
        device.planMemory(
            options.model(), options.modelOptions(), asked(options), options.stepOptions());
    if (sized(options)) {
      return plan;
    }
    ModelInfo model = Model.inspect(options.model(), options.modelOptions());
    long blocksOfContext = Math.ceilDiv(model.contextLength(), plan.blockSize());
    long left = kvAvailable(options, plan);
    long most;
    if (takesTheRest(options)) {
      left -= options.reserveMemory();
      most = options.maxSequences() * blocksOfContext;
    } else {
      left = Math.min(left, LARGEST_DEFAULT_ON_CPU);
      most = DEFAULT_CONTEXTS * blocksOfContext;
    }
    long blocks = Math.min(Math.max(0, left / plan.kvBlockBytes()), plan.kvBlocks());
    return plan.withKvBlocks(Math.min(blocks, most));
  }

  /** The KV cache of a plan. */
  static KvCacheOptions cache(EngineOptions options, MemoryPlan plan) {
    return asked(options, KvCacheOptions.ofBlocks(plan.kvBlocks()));
  }

  private static KvCacheOptions asked(EngineOptions options) {
    if (options.kvBlocks().isPresent()) {
      return asked(options, KvCacheOptions.ofBlocks(options.kvBlocks().getAsLong()));
    }
    if (options.kvBytes().isPresent()) {
      return asked(options, KvCacheOptions.ofBytes(options.kvBytes().getAsLong()));
    }
    return asked(options, KvCacheOptions.unsized());
  }

  private static KvCacheOptions asked(EngineOptions options, KvCacheOptions size) {
    return size.withBlockSize(options.blockSize())
        .withSwapBlocks(options.swapBlocks())
        .withKvPrecision(options.kvPrecision());
  }

  private static boolean sized(EngineOptions options) {
    return options.kvBlocks().isPresent() || options.kvBytes().isPresent();
  }

  private static boolean takesTheRest(EngineOptions options) {
    return options.kvRest() || (!sized(options) && !onHost(options));
  }

  /** At most the largest number there is, which no device has. */
  private static long sum(long... bytes) {
    long sum = 0;
    for (long part : bytes) {
      sum = part > Long.MAX_VALUE - sum ? Long.MAX_VALUE : sum + part;
    }
    return sum;
  }

  private static boolean onHost(EngineOptions options) {
    return options.device() != DeviceKind.CUDA;
  }

  /** On the CPU, the swap space comes out of the same memory. */
  private static long kvAvailable(EngineOptions options, MemoryPlan plan) {
    return plan.kvAvailable() - (onHost(options) ? plan.swapBytes() : 0);
  }

  /**
   * @throws DeviceMemoryException if the plan takes more than the device has, or leaves no block
   *     for the KV pool; the message is the whole budget and names the settings
   */
  static void checkFits(EngineOptions options, MemoryPlan plan) {
    long others = sum(plan.weights(), plan.workspace(), plan.graphs());
    if (onHost(options)) {
      others = sum(others, plan.swapBytes());
    }
    long pool = Math.max(plan.kvBytes(), plan.kvBlockBytes());
    long keptFree = takesTheRest(options) ? options.reserveMemory() : 0;
    long needed = sum(others, pool, keptFree);
    if (plan.kvBlocks() >= 1 && needed <= plan.deviceAvailable()) {
      return;
    }
    throw new DeviceMemoryException(
        String.format(
            Locale.ROOT,
            "%,d bytes of memory are needed and %,d are available (of %,d, others use %,d):"
                + " weights %,d, workspace %,d, graphs %,d%s, KV pool %,d (blocks of %,d)%s. %s",
            needed,
            plan.deviceAvailable(),
            plan.deviceTotal(),
            plan.otherUsers(),
            plan.weights(),
            plan.workspace(),
            plan.graphs(),
            named(", swap", onHost(options) ? plan.swapBytes() : 0),
            pool,
            plan.kvBlockBytes(),
            named(", kept free", keptFree),
            advice(options, plan, others)),
        needed,
        plan.deviceAvailable());
  }

  private static String named(String name, long bytes) {
    return bytes == 0 ? "" : String.format(Locale.ROOT, "%s %,d", name, bytes);
  }

  private static String advice(EngineOptions options, MemoryPlan plan, long others) {
    if (others > plan.deviceAvailable() - plan.kvBlockBytes()) {
      return "Choose a smaller precision, layerLimit, maxBatchTokens or maxSequences, or end other"
          + " users of the memory";
    }
    if (takesTheRest(options)) {
      return "Choose a smaller reserveMemory, or end other users of the memory";
    }
    return String.format(
        Locale.ROOT,
        "Set kvBlocks to at most %,d, or choose a smaller precision, kvPrecision or maxBatchTokens",
        (plan.deviceAvailable() - others) / plan.kvBlockBytes());
  }
}
