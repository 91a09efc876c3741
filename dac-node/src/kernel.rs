//! How this machine's kernel treats connections over distance. Read, never set: the machine is its operator's.

/// What would help, in words; nothing where the kernel does not say (`/proc/sys/net/ipv4`).
pub fn advice() -> Vec<String> {
    advice_on(|name| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok())
}

fn advice_on(setting: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let other_than = |wanted: &str, name: &str| {
        setting(name).map(|value| value.trim().to_owned()).filter(|value| value != wanted)
    };
    let control = other_than("bbr", "tcp_congestion_control").map(|control| {
        format!(
            "TCP's congestion control is {control}; over distance, on lines that lose packets, BBR keeps most of \
             their rate: sysctl -w net.ipv4.tcp_congestion_control=bbr"
        )
    });
    let pauses = other_than("0", "tcp_slow_start_after_idle").map(|_| {
        "TCP starts slowly again after every pause, and there is one between any two batches: \
         sysctl -w net.ipv4.tcp_slow_start_after_idle=0"
            .to_owned()
    });
    control.into_iter().chain(pauses).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice_with(control: Option<&str>, slow_start: Option<&str>) -> Vec<String> {
        advice_on(|name| {
            let value = match name {
                "tcp_congestion_control" => control,
                "tcp_slow_start_after_idle" => slow_start,
                _ => panic!("nobody sets {name}"),
            };
            value.map(|value| format!("{value}\n"))
        })
    }

    #[test]
    fn names_the_setting_that_would_help_and_is_silent_where_it_is_set() {
        assert!(advice_with(Some("bbr"), Some("0")).is_empty());
        let both = advice_with(Some("cubic"), Some("1"));
        assert!(both[0].contains("is cubic;") && both[0].contains("tcp_congestion_control=bbr"), "{both:?}");
        assert!(both[1].contains("tcp_slow_start_after_idle=0"), "{both:?}");
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn is_silent_where_the_kernel_does_not_say() {
        assert!(advice_with(None, None).is_empty());
    }
}
