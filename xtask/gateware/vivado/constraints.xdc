# Constraints of the hash accelerator on a VU9P card. NOT TESTED ON HARDWARE.
#
# The accelerator has one clock, the bridge's axi_aclk, which XDMA constrains itself: nothing is to be said about its inside.
# What follows belongs to the card. Take the pins of the PCIe reference clock and reset from the card's manual, and the quad
# of the lanes too, where the tools do not choose it.

create_clock -name pcie_refclk -period 10.000 [get_ports {*CLK_IN_D*clk_p*}]
set_false_path -from [get_ports *sys_rst_n*]
set_property IOSTANDARD LVCMOS18 [get_ports *sys_rst_n*]
set_property PULLTYPE PULLUP [get_ports *sys_rst_n*]

# set_property PACKAGE_PIN <pin of PERST#> [get_ports *sys_rst_n*]
# set_property PACKAGE_PIN <pin of REFCLK+> [get_ports {*CLK_IN_D*clk_p*}]
# set_property CONFIG_VOLTAGE <V> [current_design]
# set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
