package dev.weir.scheduling;

/**
 * Makes one kind of scheduler. Registered with {@link java.util.ServiceLoader}, so a third party
 * adds a policy by putting a jar on the class path; {@link Schedulers} finds it by name.
 */
public interface SchedulerFactory {

  /** The name users write, in lower case with hyphens, such as {@code nested-wait}. */
  String name();

  /** One sentence for {@code weir info}. */
  String description();

  /**
   * @throws IllegalArgumentException if the policy cannot work with the configuration; the message
   *     names the value, the limit and the setting to change
   */
  Scheduler create(SchedulerConfig config);
}
