package dev.weir.testkit;

/** What the kit demands of every scheduler. Each is judged, and reported, for itself. */
public enum ConformanceProperty {
  NO_OVERFLOW_AT_ADMISSION(
      "no overflow at admission",
      "when an iteration admits somebody, the prompts of all residents fit whole; and there are"
          + " never more blocks in use, or sequences resident or swapped, than the limits say"),
  CONSERVATION(
      "conservation",
      "every request ends exactly once and none is lost; the tokens computed for it are prompt +"
          + " output - 1 + recomputed; the plan's books agree with the driver's, and the pool is"
          + " whole again at the end"),
  LIVENESS(
      "liveness",
      "below the rate that the fluid model can sustain the backlog stays bounded: no more than one"
          + " in twenty of all requests ever waits for its first iteration at the same time"),
  NO_STARVATION(
      "no starvation",
      "however long an overload lasts, the n-th arrival is among the first 2n + 8 maxSequences to"
          + " be scheduled for the first time, and once it was, no more than 8 maxSequences others"
          + " are before it is scheduled again"),
  DRAIN(
      "drain",
      "when arrivals stop, every request ends: nobody waits for company that does not come, nobody"
          + " is evicted for ever"),
  CANCELLATION(
      "cancellation",
      "any request can depart before any iteration, whether it waits, prefills, decodes, is paused"
          + " or swapped out, and a whole batch when its iteration fails; nothing of it remains: no"
          + " other request suffers and the gauges return to zero"),
  DETERMINISM(
      "determinism",
      "the same calls give the same plans, whatever identity hash codes objects have, however fast"
          + " the machine is and whatever other instances have done"),
  RANDOM_WORKLOADS(
      "random workloads",
      "no exception, for any pool, limits, preemption, declared lengths and load; a failing case is"
          + " shrunk to a small one"),
  LONG_RUN(
      "long run",
      "a million iterations in one run neither pile up memory nor keep departed requests, and the"
          + " gauges that count requests or blocks return to zero"),
  DECISION_LOG(
      "decision log",
      "when requests wait and none of them is admitted, the plan holds one of them and names the"
          + " reason; and it never holds one that it schedules"),
  REFUSAL(
      "refusal",
      "a request that cannot fit the empty pool is refused by arrived() with an"
          + " IllegalArgumentException and leaves no trace; one that just fits is served"),
  WAKE_UP(
      "wake-up",
      "an empty plan is followed by progress when the scheduler asked to be woken, or when somebody"
          + " arrives: it does not ask to be woken again and again for nothing");

  private final String title;
  private final String rule;

  ConformanceProperty(String title, String rule) {
    this.title = title;
    this.rule = rule;
  }

  /** A few words in lower case. */
  public String title() {
    return title;
  }

  /** The demand, in one sentence. */
  public String rule() {
    return rule;
  }
}
