# Vivado project of the hash accelerator behind XDMA. NOT TESTED ON HARDWARE, and not run by this repository's checks.
#
#   vivado -mode batch -source vivado_vu9p.tcl
#
# Run it in the folder that holds accelerator.v. It makes a block design: XDMA (PCIe Gen2 x4, one channel each way, streams)
# in front of the accelerator, and writes accelerator.bit. Set the board's PCIe lane locations in vivado_vu9p.xdc first.

set part @PART@
create_project -force accelerator ./vivado -part $part
add_files accelerator.v
add_files -fileset constrs_1 vivado_vu9p.xdc
update_compile_order -fileset sources_1

create_bd_design system
set xdma [create_bd_cell -type ip -vlnv xilinx.com:ip:xdma xdma]
# 64-bit streams at 125 MHz: the accelerator's clock is the bridge's. BAR of 64 KiB for the registers.
set_property -dict [list \
    CONFIG.functional_mode {DMA} \
    CONFIG.mode_selection {Advanced} \
    CONFIG.pl_link_cap_max_link_width {X4} \
    CONFIG.pl_link_cap_max_link_speed {5.0_GT/s} \
    CONFIG.axi_data_width {64_bit} \
    CONFIG.axisten_freq {125} \
    CONFIG.xdma_axi_intf_mm {AXI_Stream} \
    CONFIG.xdma_rnum_chnl {1} \
    CONFIG.xdma_wnum_chnl {1} \
    CONFIG.axilite_master_en {true} \
    CONFIG.axilite_master_size {64} \
    CONFIG.axilite_master_scale {Kilobytes} \
] $xdma

set buffer [create_bd_cell -type ip -vlnv xilinx.com:ip:util_ds_buf refclk_buffer]
set_property CONFIG.C_BUF_TYPE {IBUFDSGTE} $buffer
make_bd_intf_pins_external [get_bd_intf_pins refclk_buffer/CLK_IN_D]
connect_bd_net [get_bd_pins refclk_buffer/IBUF_OUT] [get_bd_pins xdma/sys_clk_gt]
connect_bd_net [get_bd_pins refclk_buffer/IBUF_DS_ODIV2] [get_bd_pins xdma/sys_clk]
make_bd_intf_pins_external [get_bd_intf_pins xdma/pcie_mgt]
make_bd_pins_external [get_bd_pins xdma/sys_rst_n]

create_bd_cell -type module -reference accelerator accelerator
connect_bd_net [get_bd_pins xdma/axi_aclk] [get_bd_pins accelerator/clk]
set inverter [create_bd_cell -type ip -vlnv xilinx.com:ip:util_vector_logic reset_inverter]
set_property -dict [list CONFIG.C_OPERATION {not} CONFIG.C_SIZE {1}] $inverter
connect_bd_net [get_bd_pins xdma/axi_aresetn] [get_bd_pins reset_inverter/Op1]
connect_bd_net [get_bd_pins reset_inverter/Res] [get_bd_pins accelerator/rst]

# Streams pin by pin: the accelerator has no TKEEP and no TLAST, because packets carry their lengths and are whole beats.
# XDMA's card-to-host channel then fills host buffers to the length of each read, which is what the driver asks for.
foreach {from to} {
    xdma/m_axis_h2c_tdata_0 accelerator/s_axis_tdata
    xdma/m_axis_h2c_tvalid_0 accelerator/s_axis_tvalid
    accelerator/s_axis_tready xdma/m_axis_h2c_tready_0
    accelerator/m_axis_tdata xdma/s_axis_c2h_tdata_0
    accelerator/m_axis_tvalid xdma/s_axis_c2h_tvalid_0
    xdma/s_axis_c2h_tready_0 accelerator/m_axis_tready
} { connect_bd_net [get_bd_pins $from] [get_bd_pins $to] }
set ones [create_bd_cell -type ip -vlnv xilinx.com:ip:xlconstant keep_all]
set_property -dict [list CONFIG.CONST_WIDTH {8} CONFIG.CONST_VAL {255}] $ones
connect_bd_net [get_bd_pins keep_all/dout] [get_bd_pins xdma/s_axis_c2h_tkeep_0]
set zero [create_bd_cell -type ip -vlnv xilinx.com:ip:xlconstant never_last]
set_property -dict [list CONFIG.CONST_WIDTH {1} CONFIG.CONST_VAL {0}] $zero
connect_bd_net [get_bd_pins never_last/dout] [get_bd_pins xdma/s_axis_c2h_tlast_0]

foreach {from to} {
    xdma/m_axil_awaddr accelerator/s_axil_awaddr
    xdma/m_axil_awvalid accelerator/s_axil_awvalid
    accelerator/s_axil_awready xdma/m_axil_awready
    xdma/m_axil_wdata accelerator/s_axil_wdata
    xdma/m_axil_wstrb accelerator/s_axil_wstrb
    xdma/m_axil_wvalid accelerator/s_axil_wvalid
    accelerator/s_axil_wready xdma/m_axil_wready
    accelerator/s_axil_bresp xdma/m_axil_bresp
    accelerator/s_axil_bvalid xdma/m_axil_bvalid
    xdma/m_axil_bready accelerator/s_axil_bready
    xdma/m_axil_araddr accelerator/s_axil_araddr
    xdma/m_axil_arvalid accelerator/s_axil_arvalid
    accelerator/s_axil_arready xdma/m_axil_arready
    accelerator/s_axil_rdata xdma/m_axil_rdata
    accelerator/s_axil_rresp xdma/m_axil_rresp
    accelerator/s_axil_rvalid xdma/m_axil_rvalid
    xdma/m_axil_rready accelerator/s_axil_rready
} { connect_bd_net [get_bd_pins $from] [get_bd_pins $to] }

validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top
add_files -norecurse [glob ./vivado/accelerator.gen/sources_1/bd/system/hdl/system_wrapper.v]
set_property top system_wrapper [current_fileset]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} { error "implementation failed" }
open_run impl_1
report_timing_summary -file timing.txt
report_utilization -hierarchical -file utilization.txt
file copy -force [glob ./vivado/accelerator.runs/impl_1/*.bit] accelerator.bit
