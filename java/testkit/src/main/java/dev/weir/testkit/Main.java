package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Prints the report card of the scheduler named first, with the options named after it ({@code
 * capped-fcfs cap=16}); without arguments, those of all schedulers on the class path. Ends with
 * status 1 if a property does not hold, 2 if the arguments are wrong.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    System.exit(run(List.of(arguments), System.out, System.err));
  }

  static int run(List<String> arguments, PrintStream out, PrintStream errors) {
    List<SchedulerFactory> factories = Schedulers.all();
    Map<String, String> options = new HashMap<>();
    if (!arguments.isEmpty()) {
      String name = arguments.getFirst();
      List<String> known = factories.stream().map(SchedulerFactory::name).toList();
      factories = factories.stream().filter(f -> f.name().equals(name)).toList();
      if (factories.isEmpty()) {
        errors.println("no scheduler is named '" + name + "'; there are " + known);
        return 2;
      }
      for (String argument : arguments.subList(1, arguments.size())) {
        int equals = argument.indexOf('=');
        if (equals < 1) {
          errors.println("option '" + argument + "' is not of the form name=value");
          return 2;
        }
        options.put(argument.substring(0, equals), argument.substring(equals + 1));
      }
    }
    boolean passed = true;
    for (SchedulerFactory factory : factories) {
      ReportCard card = Conformance.of(factory).options(options).run();
      out.println(card);
      passed &= card.passed();
    }
    return passed ? 0 : 1;
  }
}
