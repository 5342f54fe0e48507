package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import java.util.Comparator;
import java.util.OptionalDouble;
import java.util.TreeSet;
import java.util.function.ObjDoubleConsumer;

/**
 * Clairvoyant admission that never evicts: the rule of MC-SF (Jaillet et al., "Online Scheduling
 * for LLM Inference with KV Cache Constraints", arXiv 2502.07115). The first request in line is
 * admitted if, with the true output lengths, the memory fits in every later iteration in which a
 * resident request completes; between completions the memory only grows, so it fits in all
 * iterations. When it does not fit, nobody behind it is tried.
 *
 * <p>The rule needs to know when everyone completes, so every request has a timetable, and keeps to
 * it: the iteration that completes its prefill, and from there a token in every iteration.
 *
 * <ul>
 *   <li>Whoever is admitted finds a token of the budget left by those before, so nobody's decode is
 *       ever left out.
 *   <li>Nobody is admitted while a prompt is in the middle, so at most one is, it gets what the
 *       decodes leave of the budget, and the iteration that completes it follows exactly from the
 *       timetables of the others. All blocks of the prompt count from the admission on.
 *   <li>If others are cancelled, more budget is left and the prefill could end early; the request
 *       would then be larger than planned when others peak. Its timetable is moved up if everything
 *       still fits, otherwise its last prompt token waits.
 * </ul>
 *
 * <p>A request whose true length is unknown is taken to generate all that it declares: safe, and
 * then this is {@code reserve} but for what requests have not reached yet.
 *
 * <p>With a pace, admissions also pass an {@link AdmissionPacer} while anybody is resident.
 *
 * <p>An admission check takes time in proportion to the resident requests, and a logarithm of the
 * waiting ones. In the order {@link Order#SHORTEST} a long request may wait as long as shorter ones
 * keep coming.
 */
final class McsfScheduler implements Scheduler {
  /** Which waiting request is the first in line. */
  enum Order {
    /** The one that arrived first. */
    ARRIVAL,
    /** The one with the shortest output, as in the paper; of equal ones the first to arrive. */
    SHORTEST
  }

  private static final class Node {
    final Request request;
    final long order;
    final int outputTokens;

    /** The iteration that completes the prefill and gives the first token. */
    long prefillEnd;

    /** The iteration that gives the last token. */
    long end;

    boolean resident;

    Node(Request request, long order, int outputTokens) {
      this.request = request;
      this.order = order;
      this.outputTokens = outputTokens;
    }

    void completePrefillIn(long iteration) {
      prefillEnd = iteration;
      end = iteration + outputTokens - 1;
    }

    /** Tokens to be cached after an iteration, no later than {@link #end}. */
    long tokensAfter(long iteration) {
      return request.promptTokens() + Math.max(0, iteration - prefillEnd);
    }
  }

  private static final Comparator<Node> BY_ARRIVAL = Comparator.comparingLong(n -> n.order);
  private static final Comparator<Node> BY_LENGTH =
      Comparator.<Node>comparingInt(n -> n.outputTokens).thenComparing(BY_ARRIVAL);

  /** Admissions that the pace lets in at once after a lull. */
  private static final int BURST = 8;

  private final KvCapacity memory;
  private final int maxTokens;
  private final double pace;
  private final boolean workKnown;
  private final AdmissionPacer pacer = new AdmissionPacer(BURST);
  private final TreeSet<Node> waiting;

  /** By the iteration in which they end. */
  private final Node[] residents;

  /** Blocks in use in the iteration in which the resident of the same index ends. */
  private final long[] usedAtEnd;

  private int residentCount;

  /** The request in the middle of its prompt, or null. */
  private Node partial;

  /** Iterations that ran before the one being planned. */
  private long iteration;

  // Whether the last plan ran shows in the progress of one of its requests.
  private Request witness;
  private int witnessTokens;

  private long arrivals;
  private double arrivedWork;

  /**
   * @param pace admissions an iteration, relative to {@code C / W}, which fill the pool in the
   *     fluid equilibrium; 0 for no pace
   * @param work {@code W}, mean token-iterations of a request; if empty, the mean of those that
   *     have arrived
   */
  McsfScheduler(
      KvCapacity memory, BatchLimits limits, Order order, double pace, OptionalDouble work) {
    this.memory = memory;
    this.maxTokens = limits.maxTokens();
    this.pace = pace;
    this.workKnown = work.isPresent();
    if (workKnown) {
      setPace(work.getAsDouble());
    }
    this.waiting = new TreeSet<>(order == Order.ARRIVAL ? BY_ARRIVAL : BY_LENGTH);
    this.residents = new Node[limits.maxSequences()];
    this.usedAtEnd = new long[limits.maxSequences()];
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    int outputTokens =
        request.trueOutputTokens() == Request.UNKNOWN
            ? request.maxOutputTokens()
            : Math.min(request.trueOutputTokens(), request.maxOutputTokens());
    Node node = new Node(request, arrivals++, outputTokens);
    request.setSchedulerState(node);
    waiting.add(node);
    if (!workKnown) {
      arrivedWork += (outputTokens + 1.0) * (request.promptTokens() + outputTokens / 2.0);
      setPace(arrivedWork / arrivals);
    }
  }

  private void setPace(double work) {
    if (pace > 0) {
      pacer.setPace(pace * memory.tokens() / work);
    }
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (!node.resident) {
      waiting.remove(node);
      return;
    }
    removeResident(node);
    if (partial == node) {
      partial = null;
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    if (witness != null && witness.cachedTokens() > witnessTokens) {
      iteration++;
    }
    if (residentCount > 0 && residents[0].end < iteration) {
      throw new IllegalStateException(
          "more output tokens than its true length, "
              + residents[0].outputTokens
              + ": "
              + residents[0].request);
    }
    if (partial != null && partial.prefillEnd < iteration) {
      partial = null;
    }
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (node != partial) {
        schedule(plan, node, node.request.pendingTokens());
      }
    }
    if (partial != null) {
      continuePrefill(plan);
    }
    admit(plan);
    witness = plan.size() > 0 ? plan.request(0) : null;
    witnessTokens = plan.size() > 0 ? witness.cachedTokens() : 0;
  }

  private void continuePrefill(IterationPlan plan) {
    Node node = partial;
    int pending = node.request.pendingTokens();
    if (node.prefillEnd > iteration && plan.remainingTokens() >= pending) {
      moveUp(node);
    }
    int tokens =
        node.prefillEnd > iteration ? Math.min(plan.remainingTokens(), pending - 1) : pending;
    if (tokens > 0) {
      schedule(plan, node, tokens);
    }
  }

  /** Lets the request complete its prefill in this iteration if everything still fits. */
  private void moveUp(Node node) {
    long planned = node.prefillEnd;
    removeResident(node);
    node.completePrefillIn(iteration);
    if (!fits(node)) {
      node.completePrefillIn(planned);
    }
    addResident(node);
  }

  private void admit(IterationPlan plan) {
    pacer.tick();
    while (!waiting.isEmpty()) {
      Node node = waiting.first();
      HoldReason reason = obstacle(plan, node);
      if (reason != null) {
        plan.hold(node.request, reason);
        return;
      }
      waiting.remove(node);
      pacer.admitted();
      addResident(node);
      if (node.prefillEnd > iteration) {
        partial = node;
      }
      schedule(plan, node, Math.min(node.request.promptTokens(), plan.remainingTokens()));
    }
  }

  /** Sets the timetable that the request would have if it were admitted now. */
  private HoldReason obstacle(IterationPlan plan, Node node) {
    if (residentCount == residents.length) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    boolean prefilling = partial != null && partial.prefillEnd > iteration;
    if (prefilling || plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    node.completePrefillIn(prefillEnd(node.request.promptTokens(), plan.remainingTokens()));
    if (fits(node)) {
      return residentCount == 0 || pacer.allows(1) ? null : HoldReason.PACING;
    }
    return memory.blocksFor(node.request.promptTokens()) > plan.freeBlocks()
        ? HoldReason.MEMORY
        : HoldReason.MEMORY_BUFFER;
  }

  /**
   * The iteration that completes a prompt which gets {@code first} tokens in this iteration, and
   * then what the residents leave, who decode until they end.
   */
  private long prefillEnd(int promptTokens, int first) {
    long left = (long) promptTokens - first;
    if (left <= 0) {
      return iteration;
    }
    long start = iteration + 1;
    for (int i = 0; i < residentCount; i++) {
      long iterations = residents[i].end - start + 1;
      if (iterations <= 0) {
        continue;
      }
      long budget = (long) maxTokens - (residentCount - i);
      if (left <= iterations * budget) {
        return start + (left - 1) / budget;
      }
      left -= iterations * budget;
      start += iterations;
    }
    return start + (left - 1) / maxTokens;
  }

  /** Whether the memory fits until the request ends, at each completion. */
  private boolean fits(Node node) {
    long usedAtItsEnd = memory.blocksFor(node.tokensAfter(node.end));
    for (int i = 0; i < residentCount; i++) {
      Node other = residents[i];
      if (other.end < node.end) {
        long blocks = memory.blocksFor(node.tokensAfter(other.end));
        if (usedAtEnd[i] + blocks > memory.blocks()) {
          return false;
        }
      } else {
        usedAtItsEnd += memory.blocksFor(other.tokensAfter(node.end));
      }
    }
    return usedAtItsEnd <= memory.blocks();
  }

  private void addResident(Node node) {
    long usedAtItsEnd = memory.blocksFor(node.tokensAfter(node.end));
    int index = 0;
    for (int i = 0; i < residentCount; i++) {
      Node other = residents[i];
      if (other.end <= node.end) {
        usedAtEnd[i] += memory.blocksFor(node.tokensAfter(other.end));
        index = i + 1;
      }
      if (other.end >= node.end) {
        usedAtItsEnd += memory.blocksFor(other.tokensAfter(node.end));
      }
    }
    System.arraycopy(residents, index, residents, index + 1, residentCount - index);
    System.arraycopy(usedAtEnd, index, usedAtEnd, index + 1, residentCount - index);
    residents[index] = node;
    usedAtEnd[index] = usedAtItsEnd;
    residentCount++;
    node.resident = true;
  }

  private void removeResident(Node node) {
    int index = 0;
    while (residents[index] != node) {
      index++;
    }
    residentCount--;
    System.arraycopy(residents, index + 1, residents, index, residentCount - index);
    System.arraycopy(usedAtEnd, index + 1, usedAtEnd, index, residentCount - index);
    residents[residentCount] = null;
    for (int i = 0; i < residentCount && residents[i].end <= node.end; i++) {
      usedAtEnd[i] -= memory.blocksFor(node.tokensAfter(residents[i].end));
    }
  }

  private static void schedule(IterationPlan plan, Node node, int tokens) {
    if (!plan.schedule(node.request, tokens)) {
      throw new IllegalStateException("refused although its memory was planned: " + node.request);
    }
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", residentCount);
  }
}
