package dev.weir.engine;

import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.util.Objects;
import java.util.function.ObjDoubleConsumer;

/**
 * One iteration of an {@link Engine}. Valid only during {@link EngineListener#iteration}; used
 * again afterwards.
 *
 * <p>Memory and numbers of requests are those after the iteration, when the requests that it
 * completed have left.
 */
public final class IterationEvent {
  private final Scheduler scheduler;
  private final IterationPlan plan;

  // Of each sequence of the batch.
  final long[] requests;
  final int[] tokens;
  final int[] cached;
  final boolean[] decoding;
  final boolean[] sampled;

  long iteration;
  double time;
  double seconds;
  double planTime;
  double planSeconds;
  double stepTime;
  double stepSeconds;
  int running;
  int waiting;
  int swapped;
  long blocks;
  long freeBlocks;
  long peakUsedBlocks;
  int sequences;
  int computedTokens;
  int generatedTokens;
  int evictions;
  int swapEvictions;
  long recomputedTokens;
  int finished;
  boolean failed;

  IterationEvent(Scheduler scheduler, IterationPlan plan) {
    this.scheduler = scheduler;
    this.plan = plan;
    int most = plan.limits().maxSequences();
    requests = new long[most];
    tokens = new int[most];
    cached = new int[most];
    decoding = new boolean[most];
    sampled = new boolean[most];
  }

  /** Number of the iteration, from 1. */
  public long iteration() {
    return iteration;
  }

  /** When it began, in seconds since the engine was started. */
  public double time() {
    return time;
  }

  /** How long it took altogether, in seconds. */
  public double seconds() {
    return seconds;
  }

  /** When the scheduler began to decide, in seconds since the engine was started. */
  public double planTime() {
    return planTime;
  }

  /** How long the scheduler took to decide, in seconds; part of {@link #seconds}. */
  public double planSeconds() {
    return planSeconds;
  }

  /** When the model began, in seconds since the engine was started; {@link #time} if it did not. */
  public double stepTime() {
    return stepTime;
  }

  /** How long the model took, in seconds. */
  public double stepSeconds() {
    return stepSeconds;
  }

  /** Requests that hold blocks of the pool. */
  public int running() {
    return running;
  }

  /** Requests that hold no memory: new ones, and ones evicted by recompute. */
  public int waiting() {
    return waiting;
  }

  /** Requests whose blocks are in the swap space. */
  public int swapped() {
    return swapped;
  }

  /** Blocks of the pool. */
  public long blocks() {
    return blocks;
  }

  /** Free blocks of the pool. */
  public long freeBlocks() {
    return freeBlocks;
  }

  /** Used blocks of the pool. */
  public long usedBlocks() {
    return blocks - freeBlocks;
  }

  /** Used blocks when the step had run and before completed requests gave theirs back. */
  public long peakUsedBlocks() {
    return peakUsedBlocks;
  }

  /** Sequences in the batch. */
  public int sequences() {
    return sequences;
  }

  /** {@link Generation#id()} of the {@code index}-th sequence of the batch. */
  public long sequenceRequest(int index) {
    return requests[Objects.checkIndex(index, sequences)];
  }

  /** Tokens that were computed for it. */
  public int sequenceTokens(int index) {
    return tokens[Objects.checkIndex(index, sequences)];
  }

  /** Tokens that it had in the KV cache before. */
  public int sequenceCachedTokens(int index) {
    return cached[Objects.checkIndex(index, sequences)];
  }

  /** Whether it decoded; otherwise it computed a part of its prompt, or that again. */
  public boolean sequenceDecoded(int index) {
    return decoding[Objects.checkIndex(index, sequences)];
  }

  /** Whether it got a token. */
  public boolean sequenceSampled(int index) {
    return sampled[Objects.checkIndex(index, sequences)];
  }

  /** Tokens that passed through the model. */
  public int computedTokens() {
    return computedTokens;
  }

  /** Tokens that were sampled. */
  public int generatedTokens() {
    return generatedTokens;
  }

  /** Requests evicted, by whichever means. */
  public int evictions() {
    return evictions;
  }

  /** {@link Generation#id()} of the {@code index}-th of these requests. */
  public long evictedRequest(int index) {
    return plan.evicted(index).id();
  }

  /** Whether its blocks are in the swap space; otherwise it is to be computed again. */
  public boolean evictedToSwap(int index) {
    return plan.evicted(index).state() == RequestState.SWAPPED;
  }

  /** Requests that came back from the swap space for this iteration. */
  public int resumptions() {
    return plan.resumedCount();
  }

  /** {@link Generation#id()} of the {@code index}-th of these requests. */
  public long resumedRequest(int index) {
    return plan.resumed(index).id();
  }

  /** Of the evicted requests, the ones whose blocks went to the swap space. */
  public int swapEvictions() {
    return swapEvictions;
  }

  /** Cached tokens that the evictions threw away. */
  public long recomputedTokens() {
    return recomputedTokens;
  }

  /** Requests that ended since the last event, whatever the reason. */
  public int finished() {
    return finished;
  }

  /** Whether the batch ran out of memory and its requests failed. */
  public boolean failed() {
    return failed;
  }

  /**
   * Entries of the decision log: requests that the policy did not schedule, see {@link
   * IterationPlan#hold}.
   */
  public int heldCount() {
    return plan.heldCount();
  }

  /** {@link Generation#id()} of the {@code index}-th entry. */
  public long heldRequest(int index) {
    return plan.held(index).id();
  }

  public HoldReason heldReason(int index) {
    return plan.holdReason(index);
  }

  /** Admissions for which the policy predicted an overflow, see {@link #overflowProbability}. */
  public int predictionCount() {
    return plan.predictionCount();
  }

  /** {@link Generation#id()} of the {@code index}-th of these admissions. */
  public long predictedRequest(int index) {
    return plan.predicted(index).id();
  }

  /** The probability that {@link IterationPlan#predictOverflow} describes. */
  public double overflowProbability(int index) {
    return plan.overflowProbability(index);
  }

  /** The policy's own figures, see {@link Scheduler#gauges}. */
  public void schedulerGauges(ObjDoubleConsumer<String> sink) {
    scheduler.gauges(sink);
  }
}
