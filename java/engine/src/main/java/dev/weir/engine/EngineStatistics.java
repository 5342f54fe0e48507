package dev.weir.engine;

import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.gpu.GpuReading;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What an {@link Engine} has done so far. Counters only grow; each is exact at some recent moment,
 * but not all at the same one.
 *
 * @param state the engine's state
 * @param uptimeSeconds seconds since the engine was started
 * @param accepted requests accepted
 * @param rejected requests refused, by reason; every reason is present
 * @param finished requests ended normally, by reason; every reason is present
 * @param failed requests ended by an error
 * @param running requests that hold blocks of the pool
 * @param waiting requests that hold no memory
 * @param swapped requests whose blocks are in the swap space
 * @param promptTokens prompt tokens of requests that got their first token
 * @param generatedTokens tokens delivered
 * @param evictions requests evicted from the pool
 * @param swapEvictions of those, the ones whose blocks went to the swap space
 * @param recomputedTokens cached tokens thrown away by evictions
 * @param iterations iterations run
 * @param failedIterations iterations that ran out of memory, or in which the logits of a request
 *     were not finite
 * @param lastStepNanoTime {@link System#nanoTime()} at which the model last finished an iteration;
 *     empty before the first
 * @param stepStartNanoTime {@link System#nanoTime()} at which the iteration that is in the model
 *     now began; empty if none is. So a watchdog can tell a hung device (long ago) from an idle
 *     engine (empty)
 * @param stalled whether the device has been in a call for longer than half of {@link
 *     EngineOptions#stepTimeout()}, or the engine has failed because of that
 * @param gpu the state of the engine's GPU, about a second old at most as a rule, see {@link
 *     GpuReading#nanoTime()}; empty on the CPU and where {@link Engine#gpuMonitorProblem()} says
 *     why
 * @param kv the KV pool
 */
public record EngineStatistics(
    EngineState state,
    double uptimeSeconds,
    long accepted,
    Map<RejectionReason, Long> rejected,
    Map<FinishReason, Long> finished,
    long failed,
    int running,
    int waiting,
    int swapped,
    long promptTokens,
    long generatedTokens,
    long evictions,
    long swapEvictions,
    long recomputedTokens,
    long iterations,
    long failedIterations,
    OptionalLong lastStepNanoTime,
    OptionalLong stepStartNanoTime,
    boolean stalled,
    Optional<GpuReading> gpu,
    KvCacheStatistics kv) {}
